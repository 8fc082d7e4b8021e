"""Why a customer was texted in a campaign, or was not: one page of facts, from the consent to the receipt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.customers import exclusion
from engage.customers.exclusion import Exclusion
from engage.errors import NoSuchCustomer, NotReady
from engage.reports import consent_history, customer_history, message_detail, return_score
from engage.reports.customer_history import InCampaign
from engage.reports.message_detail import MessageDetail
from engage.settings import Settings
from engage.statuses import ExperimentArm, MessageStatus
from engage.storage.schema import customer, message
from engage.texts import local_time
from engage.window import Window


@dataclass(frozen=True)
class Section:
    """One part of the answer: a title, and sentences in order."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """The answer for one customer and one campaign. It holds no phone number, not even masked."""

    customer_id: int
    window: Window
    answer: str
    """In one sentence."""
    text: str | None
    """What the provider got; None if no text is kept."""
    sections: tuple[Section, ...]
    written_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """The answer for JSON. Times are ISO 8601 in UTC."""
        window = {"start": self.window.start, "end": self.window.end}
        return asdict(self) | {"window": window, "sections": {one.title: one.sentences for one in self.sections}}


def explain(conn: sa.Connection, window: Window, customer_id: int, *, currency: str, as_of: datetime) -> Explanation:
    """Explain from what is on record why the campaign of ``window`` texted the customer, or did not.

    ``currency`` is the ISO 4217 code of amounts.

    Raises:
        NotReady: there is no such campaign, or it has no settings yet.
        NoSuchCustomer: the campaign holds nothing about the customer.
    """
    found = _campaign(conn, window)
    settings = found.require_settings()
    numbers = next(iter(customer_history.history(conn, customer_id, limit=1, window=window)), None)
    row = conn.execute(_message(window, customer_id)).one_or_none()
    if numbers is None and row is None:
        raise NoSuchCustomer(
            f"The campaign of {window} holds nothing about customer {customer_id}: the customer registered after the "
            "window, was forgotten, or the campaign is being computed."
        )
    one = None if row is None else message_detail.of(row)
    score = (
        None
        if numbers is None
        else return_score.explain(conn, numbers, amount=partial(formats.cents, currency=currency))
    )
    at = as_of if row is None else row.sending_at or row.settled_at or row.queued_at
    sections = (
        Section("Consent", tuple(_consent(conn, customer_id, at))),
        Section("Numbers", tuple(_numbers(numbers, currency))),
        Section("Rule", tuple(_rule(numbers, currency))),
        *([Section("Return score", tuple(_score(score)))] if score else []),
        Section("Experiment", tuple(_experiment(row, settings, found))),
        Section("Hours", tuple(_hours(row, settings))),
        Section("Approval", tuple(_approval(found, settings))),
        Section("Receipt", tuple(_receipt(one, exclusion.of(conn, [customer_id]).get(customer_id)))),
    )
    return Explanation(customer_id, window, _answer(one, numbers), one.body if one else None, sections, as_of)


def _campaign(conn: sa.Connection, window: Window) -> Campaign:
    found = campaign.find(conn, window)
    if found is None:
        raise NotReady(f"There is no campaign for the window {window}.")
    return found


def _message(window: Window, customer_id: int) -> sa.Select[Any]:
    return (
        sa.select(message, customer.c.phone, customer.c.time_zone, customer.c.customer_id.label("known"))
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .where(message.c.window_start == window.start, message.c.customer_id == customer_id)
    )


def _answer(one: MessageDetail | None, numbers: InCampaign | None) -> str:
    if one is None:
        segment = numbers.bucket if numbers else "another segment"
        return f"Not texted: the campaign has no message for this customer of {segment}."
    if one.status == MessageStatus.SKIPPED:
        return f"Not texted: {_lower(one.why or 'the message was skipped')}."
    if one.accepted:
        return f"Texted as a customer of {one.segment}. The message is {one.status}."
    return f"In the list of {one.segment}. The message is {one.status}" + (f": {_lower(one.why)}." if one.why else ".")


def _consent(conn: sa.Connection, customer_id: int, at: datetime) -> Iterator[str]:
    """What held when the sender decided, and the changes that had led to it."""
    found = consent_history.of_customer(conn, customer_id, at)
    if not found.standings:
        yield f"On {formats.second(at)} no consent and no refusal of the customer was on record."
    for standing in found.standings:
        yield f"On {formats.second(at)}: {_lower(consent_history.why(standing))}"
    for change in found.changes:
        wording = f' Agreed to: "{change.wording}"' if change.wording else ""
        yield (
            f"{formats.second(change.happened_at)}: {consent_history.said(change)}. "
            f"Source: {consent_history.source(change)}.{wording}"
        )


def _numbers(numbers: InCampaign | None, currency: str) -> Iterator[str]:
    if numbers is None:
        yield "The numbers are gone, as the customer was forgotten or the campaign is being computed."
        return
    yield (
        f"In the window {numbers.window}: spend {formats.cents(numbers.total_spend_cents, currency)} in "
        f"{formats.counted(numbers.purchases, 'purchase')}, {formats.counted(numbers.sessions, 'session')}, which is "
        f"{formats.number(numbers.avg_weekly_sessions)} a week."
    )


def _rule(numbers: InCampaign | None, currency: str) -> Iterator[str]:
    if numbers is None:
        yield "Without the numbers the rule cannot be shown."
        return
    yield numbers.why(amount=lambda value: formats.money(value, currency), number=formats.number)
    yield f"So the segment is {numbers.bucket}."


def _score(score: return_score.Explanation) -> Iterator[str]:
    yield score.sentence
    if score.reasons:
        yield "Compared with the average customer:"
        yield from (one.sentence for one in score.reasons)


def _experiment(row: sa.Row[Any] | None, settings: Settings, found: Campaign) -> Iterator[str]:
    if row is None or row.arm is None:
        yield "The customer is in no group of an experiment."
        return
    share = f"{formats.number(settings.holdout_percent)}%"
    if row.arm == ExperimentArm.HOLDOUT:
        yield f"Chance put the customer in the holdout, {share} of the customers to text. The holdout gets no text."
    else:
        yield f"Chance put the customer among those who get a text; {share} of the customers to text are held out."
    if row.variant and (drawn := (found.variants or {}).get(row.bucket)):
        weight = formats.share(drawn.weights.get(row.variant, 0), 1)
        yield f"Of {row.bucket}'s texts the draw gave text {row.variant}, which {weight} of its customers get."


def _hours(row: sa.Row[Any] | None, settings: Settings) -> Iterator[str]:
    if row is None or row.sending_at is None:
        yield "No sender has claimed a message, so no time of day was checked."
        return
    if not settings.strict:
        yield "The sandbox delivers nothing, so no time of day was checked."
        return
    zones = local_time.zones(row.phone or "", row.time_zone)
    clocks = sorted({f"{row.sending_at.astimezone(zone):%H:%M}" for zone in zones})
    there = f"{' or '.join(clocks)} there" if clocks else "a time there that is not known any more"
    yield f"The sender claimed it at {formats.second(row.sending_at)}, {there}. Texts go out {settings.sending_hours}."


def _approval(found: Campaign, settings: Settings) -> Iterator[str]:
    if found.approval.sentence:
        yield found.approval.sentence
    elif settings.require_approval:
        yield "Approval is required, and was not requested yet."
    elif settings.approval_above:
        above = formats.counted(settings.approval_above, "message")
        yield f"A list of more than {above} requires approval, and none was requested."
    else:
        yield "No approval was required when the campaign was computed."
    if found.guard.note:
        yield found.guard.note
    if found.run_id:
        yield f"The run {found.run_id} computed the campaign."


def _receipt(one: MessageDetail | None, excluded: Exclusion | None) -> Iterator[str]:
    if one is None:
        yield "There is no message."
        return
    if one.status == MessageStatus.SKIPPED and len(one.events) == 1:
        yield f"It was skipped at once when the list was made, {formats.second(one.at)}."
    else:
        yield from (f"{formats.second(at)}: {_lower(words)}." for words, at in one.events)
    if one.why:
        yield f"{one.why}."
    if excluded:
        yield (
            f"Since {formats.second(excluded.excluded_at)} {excluded.excluded_by} has the customer excluded from all "
            f"texts: {excluded.reason}."
        )
    if one.provider_message_id:
        yield f"At {one.provider} its id is {one.provider_message_id}."
    if one.settled_by:
        yield f"Settled by {one.settled_by}: {one.settled_why}."
    if one.fact and one.fact != one.why:
        yield f"{one.fact}."


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]
