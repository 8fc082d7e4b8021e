"""The outbox: the ledger's rows as a sender takes them up, marks them, and writes down what became of them.

Every change is committed before and after a message is handed over, never around it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage import campaign, eligibility, template
from engage import customer as customer_data
from engage.bucket import TEXTED
from engage.eligibility import Recipients
from engage.errors import NotReady, Superseded, TooManyMessages
from engage.schema import campaign as campaign_table
from engage.schema import customer, customer_bucket, message
from engage.segments import segments
from engage.settings import Settings
from engage.sms import Outcome, OutgoingSms, Reply, SmsProvider
from engage.template import Template
from engage.window import Window

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taken:
    """A campaign in one sender's hands."""

    window: Window
    token: int
    settings: Settings
    provider: SmsProvider
    waiting: int


@dataclass(frozen=True)
class Waiting:
    """A queued message, and what says when it may be sent."""

    customer_id: int
    phone: str | None = field(repr=False)
    time_zone: str | None


@dataclass(frozen=True)
class Claimed:
    """A message committed as ``sending``, which nobody else will hand over."""

    customer_id: int
    sms: OutgoingSms


@dataclass(frozen=True)
class Claim:
    """What came of claiming some messages: those to hand over, or that the campaign is halted."""

    rows: Sequence[Claimed] = ()
    halted: bool = False


@dataclass(frozen=True)
class Answer:
    """What became of one claimed message; without a ``reply`` nobody knows, and ``error`` says what happened."""

    customer_id: int
    reply: Reply | None = None
    error: str | None = None

    @property
    def status(self) -> str:
        return "unknown" if self.reply is None else _STATUSES[self.reply.outcome]


_STATUSES = {
    Outcome.ACCEPTED: "accepted",
    Outcome.FAILED: "failed",
    Outcome.LATER: "queued",
    Outcome.REFUSED: "queued",
}


def take_over(
    engine: sa.Engine, window: Window, provider_named: Callable[[str], SmsProvider], now: datetime
) -> Taken | None:
    """Become the campaign's only sender, and list what the last one left without an outcome; None while halted.

    This freezes the campaign, so it has to be as the queue was made from: a step that has run since reopens it.

    Raises:
        NotReady: the campaign was computed anew since its messages were queued.
        TooManyMessages: more wait than ``max_messages_per_run`` allows; nothing was changed.
    """
    with engine.begin() as conn:
        found = campaign.find(conn, window, lock=True)
        if found is None or found.settings is None or not (found.frozen or found.status == "queued"):
            raise NotReady(
                f"The campaign of the window {window} was computed anew after its messages had been queued, so none "
                "is sent. Run its steps again, up to message."
            )
        if found.halted_at:
            return None
        provider = provider_named(found.settings.sms_provider)
        token = found.sender_token + 1
        campaign.update(conn, window, sender_token=token, frozen_at=found.frozen_at or now, status="sending")
        _abandon(conn, window, token, now)
        count = sa.select(sa.func.count()).where(message.c.window_start == window.start, message.c.status == "queued")
        waiting = conn.execute(count).scalar_one()
        _refuse_too_many(window, waiting, found.settings.max_messages_per_run)
        return Taken(window, token, found.settings, provider, waiting)


def _abandon(conn: sa.Connection, window: Window, token: int, now: datetime) -> None:
    left = conn.execute(
        sa.update(message)
        .where(message.c.window_start == window.start, message.c.status == "sending", message.c.sender_token < token)
        .values(status="unknown", error="the sender stopped before it recorded an outcome", unknown_at=now)
    ).rowcount
    if left:
        log.warning("%s messages of an earlier sender have an unknown outcome; they are not sent again", left)


def _refuse_too_many(window: Window, waiting: int, allowed: int) -> None:
    if allowed and waiting > allowed:
        raise TooManyMessages(
            f"{waiting} messages wait to be sent for the window {window}, and max_messages_per_run allows {allowed}. "
            "Nobody was texted. If that many are right, raise it and run the campaign again from extract."
        )


def waiting(engine: sa.Engine, window: Window, *, after: int, limit: int) -> list[Waiting]:
    """The next queued messages by customer id. Walking the ledger so needs no index on ``status``."""
    query = (
        sa.select(message.c.customer_id, customer.c.phone, customer.c.time_zone)
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .where(message.c.window_start == window.start, message.c.status == "queued", message.c.customer_id > after)
        .order_by(message.c.customer_id)
        .limit(limit)
    )
    with engine.begin() as conn:
        return [Waiting(*row) for row in conn.execute(query)]


def claim(engine: sa.Engine, taken: Taken, ids: Sequence[int], now: datetime) -> Claim:
    """Commit messages as ``sending``, before any is handed over; skip who may no longer be texted.

    Those whose hours have closed meanwhile stay queued.

    Raises:
        Superseded: another sender has taken over.
    """
    with engine.begin() as conn:
        brake = conn.execute(
            sa.select(campaign_table.c.sender_token, campaign_table.c.halted_at)
            .where(campaign_table.c.window_start == taken.window.start)
            .with_for_update(read=True)
        ).one()
        if brake.sender_token != taken.token:
            raise Superseded(
                f"Another sender has taken over the campaign of the window {taken.window}; this one stops."
            )
        if brake.halted_at:
            return Claim(halted=True)
        texts = _Texts(taken)
        rows: list[Claimed] = []
        skipped: dict[int, str] = {}
        for row in conn.execute(_recipients(conn, taken, ids, now)):
            reason, sms = (row.reason, None) if row.reason else texts.write(row, now)
            if reason:
                skipped[row.customer_id] = reason
            elif sms:
                rows.append(Claimed(row.customer_id, sms))
        _skip(conn, taken.window, skipped, now)
        _mark_sending(conn, taken, rows, now)
        return Claim(rows)


def _recipients(conn: sa.Connection, taken: Taken, ids: Sequence[int], now: datetime) -> sa.Select[tuple[object, ...]]:
    """The messages among ``ids`` that still wait, locked, with all that decides whether and what to send."""
    eligibility.take_turns(conn)
    cap = eligibility.frequency(conn, taken.window, taken.settings, now)
    reason = sa.case(
        (customer.c.customer_id.is_(None), "no_customer"),
        (customer.c.phone_hash.is_distinct_from(message.c.phone_hash), "phone_changed"),
        else_=None,
    )
    return (
        sa.select(
            message.c.customer_id,
            message.c.bucket,
            customer.c.phone,
            customer.c.time_zone,
            customer.c.name,
            customer_bucket.c.total_spend_cents,
            customer_bucket.c.avg_weekly_sessions,
            sa.func.coalesce(reason, eligibility.ineligible(taken.settings, cap)).label("reason"),
        )
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .join(
            customer_bucket,
            sa.and_(
                customer_bucket.c.window_start == taken.window.start,
                customer_bucket.c.customer_id == message.c.customer_id,
            ),
        )
        .where(
            message.c.window_start == taken.window.start,
            message.c.customer_id == sa.any_(_ids(ids)),
            message.c.status == "queued",
        )
        .with_for_update(of=message)
    )


class _Texts:
    """Writes the campaign's messages."""

    def __init__(self, taken: Taken) -> None:
        self.taken = taken
        self.recipients = Recipients(taken.settings)
        self.templates = {bucket: Template.parse(taken.settings.message(bucket)) for bucket in TEXTED}

    def write(self, row: sa.Row[Any], now: datetime) -> tuple[str | None, OutgoingSms | None]:
        """A reason to skip the message, or the message; neither if it has to wait for the hours to open."""
        moment = self.recipients.moment(row.phone, row.time_zone, now)
        if moment.reason or moment.hold_until:
            return moment.reason, None
        parsed = self.templates[row.bucket]
        known = parsed.placeholders and template.values(row.name, row.total_spend_cents, row.avg_weekly_sessions)
        body = parsed.render(known or {})
        if segments(body) > self.taken.settings.max_segments:
            return "too_long", None
        return None, OutgoingSms(row.phone, body, reference(self.taken.window, row.customer_id), moment.valid_for)


def reference(window: Window, customer_id: int) -> str:
    """Which message a provider's receipt is about: ``20260914-17``."""
    return f"{window.key}-{customer_id}"


def _mark_sending(conn: sa.Connection, taken: Taken, rows: Sequence[Claimed], now: datetime) -> None:
    if not rows:
        return
    texts = _rows(
        customer_id=(sa.BigInteger, [row.customer_id for row in rows]),
        body=(sa.Text, [row.sms.body for row in rows]),
        segments=(sa.SmallInteger, [segments(row.sms.body) for row in rows]),
    )
    conn.execute(
        sa.update(message)
        .where(message.c.window_start == taken.window.start, message.c.customer_id == texts.c.customer_id)
        .values(
            status="sending",
            sender_token=taken.token,
            sending_at=now,
            provider=taken.provider.name,
            body=texts.c.body,
            segments=texts.c.segments,
        )
    )


def _skip(conn: sa.Connection, window: Window, reasons: Mapping[int, str], now: datetime) -> None:
    """Skip queued messages, by customer id and reason."""
    for reason in set(reasons.values()):
        ids = [customer_id for customer_id, why in reasons.items() if why == reason]
        conn.execute(
            sa.update(message)
            .where(message.c.window_start == window.start, message.c.customer_id == sa.any_(_ids(ids)))
            .values(status="skipped", reason=reason, settled_at=now)
        )


def record(engine: sa.Engine, taken: Taken, answers: Sequence[Answer], now: datetime) -> None:
    """Write down what became of messages. A superseded sender's late answer still settles those it had claimed.

    A receipt may have come first: then the message stays where that has put it.
    """
    if not answers:
        return
    with engine.begin() as conn:
        _suppress(conn, taken.window, [a.customer_id for a in answers if a.reply and a.reply.suppress], now)
        # The rows are found first and then updated by key alone: fresh statistics do not know of these states yet, and
        # a plan that hoped for one row by state would compare a thousand with a thousand.
        ours = (
            sa.select(message.c.customer_id, message.c.status)
            .where(
                message.c.window_start == taken.window.start,
                message.c.customer_id == sa.any_(_ids([answer.customer_id for answer in answers])),
                message.c.sender_token == taken.token,
                message.c.status.notin_(("queued", "skipped")),
            )
            .with_for_update()
        )
        found = {row.customer_id: row.status for row in conn.execute(ours)}
        _settle(conn, taken.window, [(a, found[a.customer_id]) for a in answers if a.customer_id in found], now)


def _settle(conn: sa.Connection, window: Window, answers: Sequence[tuple[Answer, str]], now: datetime) -> None:
    """Move messages on from the status that they are in."""
    if not answers:
        return
    replies = [answer.reply or Reply(Outcome.LATER, error=answer.error) for answer, _ in answers]
    moved = [_next_status(answer, status) for answer, status in answers]
    told = _rows(
        customer_id=(sa.BigInteger, [answer.customer_id for answer, _ in answers]),
        status=(sa.Text, moved),
        provider_message_id=(sa.Text, [reply.provider_message_id for reply in replies]),
        error=(sa.Text, [reply.error for reply in replies]),
        error_code=(sa.Integer, [reply.error_code for reply in replies]),
    )
    sa_now = sa.cast(now, sa.DateTime(timezone=True))

    def when(column: sa.Column[Any], condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        return sa.case((condition, sa_now), else_=column)

    conn.execute(
        sa.update(message)
        .where(message.c.window_start == window.start, message.c.customer_id == told.c.customer_id)
        .values(
            status=told.c.status,
            provider_message_id=sa.func.coalesce(told.c.provider_message_id, message.c.provider_message_id),
            error=sa.func.coalesce(told.c.error, message.c.error),
            error_code=sa.func.coalesce(told.c.error_code, message.c.error_code),
            queued_at=when(message.c.queued_at, told.c.status == "queued"),
            unknown_at=when(message.c.unknown_at, told.c.status == "unknown"),
            accepted_at=when(message.c.accepted_at, told.c.provider_message_id.is_not(None)),
            settled_at=when(message.c.settled_at, told.c.status == "failed"),
        )
    )


def _next_status(answer: Answer, status: str) -> str:
    """Where an answer moves a message that is in ``status`` by now."""
    if status == "sending":
        return answer.status
    if status == "unknown" and answer.reply is not None:
        # another sender has listed it, and may not send it again: what was not taken has failed
        return "failed" if answer.status == "queued" else answer.status
    return status


def release(engine: sa.Engine, taken: Taken, handed: Collection[int], now: datetime) -> None:
    """Put back what was claimed and never handed over, when a sender has to stop: all but ``handed``."""
    with engine.begin() as conn:
        conn.execute(
            sa.update(message)
            .where(
                message.c.window_start == taken.window.start,
                message.c.sender_token == taken.token,
                message.c.status == "sending",
                message.c.customer_id != sa.all_(_ids(list(handed))),
            )
            .values(status="queued", queued_at=now)
        )


def _suppress(conn: sa.Connection, window: Window, ids: Sequence[int], now: datetime) -> None:
    if not ids:
        return
    phones = sa.select(message.c.phone_hash).where(
        message.c.window_start == window.start, message.c.customer_id == sa.any_(_ids(ids))
    )
    for phone_hash in conn.execute(phones).scalars().all():
        customer_data.suppress(conn, phone_hash, reason="provider", source="the provider's answer", as_of=now)


def _rows(**columns: tuple[type[sa.types.TypeEngine[Any]], Sequence[Any]]) -> sa.FromClause:
    """Rows of values as a table."""
    arrays = [sa.literal(list(values), ARRAY(kind)) for kind, values in columns.values()]
    return sa.func.unnest(*arrays).table_valued(*columns).render_derived(name="told")


def _ids(values: Sequence[int]) -> sa.ColumnElement[list[int]]:
    return sa.literal(list(values), ARRAY(sa.BigInteger))
