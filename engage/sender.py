"""The sender: hands the queued messages of one campaign to a provider, each at most once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic, perf_counter

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage import campaign, ledger, sms
from engage.bucket import BOOST
from engage.errors import NotReady, Superseded
from engage.ledger import MessageSummary
from engage.schema import campaign as campaign_table
from engage.schema import customer, message
from engage.settings import Settings
from engage.sms import OutgoingSms, SmsProvider
from engage.window import Window

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def send(
    engine: sa.Engine, window: Window, *, clock: Clock, provider_named: Callable[[str], SmsProvider] = sms.provider
) -> MessageSummary:
    """Send what is queued, as the newest sender of the campaign. The first call freezes the campaign.

    Raises:
        NotReady: the campaign was computed anew since its messages were queued.
        Superseded: a newer sender has taken over.
    """
    started = perf_counter()
    taken = _take_over(engine, window, provider_named, clock())
    if taken is None:
        return replace(_summary(engine, window), halted=True, note=HALTED)
    accepted, last, halted = 0, -(2**63), False
    progress = _Progress(taken.waiting)
    while not halted:
        claim = _claim(engine, window, taken, after=last, now=clock())
        halted = claim.halted
        if claim.last is None:
            break
        last = claim.last
        outcomes: list[_Outcome] = []
        try:
            outcomes.extend(_hand_over(taken.provider, row) for row in claim.rows)
        finally:  # also when the task is cancelled or runs out of time: what is known must not become unknown
            _record(engine, window, outcomes, token=taken.token, now=clock())
        accepted += sum(outcome.provider_message_id is not None for outcome in outcomes)
        progress(accepted)
    _finish(engine, window, taken.token, perf_counter() - started)
    return replace(_summary(engine, window), accepted_now=accepted, halted=halted, note=HALTED if halted else "")


HALTED = "The campaign is halted: what is queued waits for it to be resumed."


@dataclass(frozen=True)
class _Taken:
    """A campaign in this sender's hands."""

    token: int
    settings: Settings
    provider: SmsProvider
    waiting: int


@dataclass(frozen=True)
class _Claimed:
    customer_id: int
    phone: str
    body: str


@dataclass(frozen=True)
class _Claim:
    rows: list[_Claimed] = field(default_factory=list)
    last: int | None = None
    halted: bool = False


@dataclass(frozen=True)
class _Outcome:
    customer_id: int
    provider_message_id: str | None = None
    error: str | None = None


def _take_over(
    engine: sa.Engine, window: Window, provider_named: Callable[[str], SmsProvider], now: datetime
) -> _Taken | None:
    """Become the campaign's only sender, and list what the last one left without an outcome; None while halted.

    This freezes the campaign, so it has to be as the queue was made from: a step that has run since reopens it.
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
        abandoned = conn.execute(
            sa.update(message)
            .where(
                message.c.window_start == window.start,
                message.c.status == "sending",
                message.c.sender_token < token,
            )
            .values(status="unknown", error="the sender stopped before it recorded an outcome", settled_at=now)
        ).rowcount
        if abandoned:
            log.warning("%s messages of an earlier sender have an unknown outcome; they are not sent again", abandoned)
        waiting = sa.select(sa.func.count()).where(message.c.window_start == window.start, message.c.status == "queued")
        return _Taken(token, found.settings, provider, conn.execute(waiting).scalar_one())


def _claim(engine: sa.Engine, window: Window, taken: _Taken, *, after: int, now: datetime) -> _Claim:
    """Commit the next messages as ``sending``, before anything is handed over; skip who may no longer be texted.

    Walking the ledger by customer id finds the next ones without an index on ``status``.
    """
    with engine.begin() as conn:
        brake = conn.execute(
            sa.select(campaign_table.c.sender_token, campaign_table.c.halted_at)
            .where(campaign_table.c.window_start == window.start)
            .with_for_update(read=True)
        ).one()
        if brake.sender_token != taken.token:
            raise Superseded(f"Another sender has taken over the campaign of the window {window}; this one stops.")
        if brake.halted_at:
            return _Claim(halted=True)
        picked = conn.execute(
            sa.select(message.c.customer_id, message.c.phone_hash)
            .where(message.c.window_start == window.start, message.c.status == "queued", message.c.customer_id > after)
            .order_by(message.c.customer_id)
            .limit(taken.provider.claim_size)
            .with_for_update()
        ).all()
        if not picked:
            return _Claim()
        recipients = conn.execute(
            sa.select(
                customer.c.customer_id, customer.c.phone, customer.c.phone_hash, ledger.ineligible().label("reason")
            ).where(customer.c.customer_id == sa.any_(_ids([row.customer_id for row in picked])))
        ).all()
        queued = {row.customer_id: row.phone_hash for row in picked}
        reasons: dict[int, str | None] = dict.fromkeys(queued, "no_customer")
        for row in recipients:
            changed = None if row.phone_hash == queued[row.customer_id] else "phone_changed"
            reasons[row.customer_id] = row.reason or changed
        _skip(conn, window, reasons, now)
        phones = {row.customer_id: row.phone for row in recipients if not reasons[row.customer_id]}
        claimed = conn.execute(
            sa.update(message)
            .where(message.c.window_start == window.start, message.c.customer_id == sa.any_(_ids(list(phones))))
            .values(
                status="sending",
                sender_token=taken.token,
                sending_at=now,
                provider=taken.provider.name,
                body=_body(taken.settings),
            )
            .returning(message.c.customer_id, message.c.body)
        ).all()
        rows = [_Claimed(row.customer_id, phones[row.customer_id], row.body) for row in claimed]
        return _Claim(rows, last=picked[-1].customer_id)


def _body(settings: Settings) -> sa.Case[str]:
    return sa.case((message.c.bucket == BOOST, settings.message_boost), else_=settings.message_reward)


def _skip(conn: sa.Connection, window: Window, reasons: dict[int, str | None], now: datetime) -> None:
    """Skip queued messages by customer id, where there is a reason to."""
    for reason in {why for why in reasons.values() if why}:
        ids = [customer_id for customer_id, why in reasons.items() if why == reason]
        conn.execute(
            sa.update(message)
            .where(message.c.window_start == window.start, message.c.customer_id == sa.any_(_ids(ids)))
            .values(status="skipped", reason=reason, settled_at=now)
        )


def _hand_over(provider: SmsProvider, row: _Claimed) -> _Outcome:
    try:
        return _Outcome(row.customer_id, provider_message_id=provider.send(OutgoingSms(row.phone, row.body)))
    except Exception as exc:  # noqa: BLE001 - whatever a provider raises, nobody can tell if the message went out
        return _Outcome(row.customer_id, error=type(exc).__name__)


def _record(engine: sa.Engine, window: Window, outcomes: list[_Outcome], *, token: int, now: datetime) -> None:
    """Write the outcomes. A superseded sender's late answer still settles the messages it had claimed itself."""
    if not outcomes:
        return
    with engine.begin() as conn:
        # The rows are found first and then updated by key alone: fresh statistics do not know of these states yet, and
        # a plan that hoped for one row by state would compare a thousand with a thousand.
        ours = (
            sa.select(message.c.customer_id)
            .where(
                message.c.window_start == window.start,
                message.c.customer_id == sa.any_(_ids([outcome.customer_id for outcome in outcomes])),
                message.c.sender_token == token,
                sa.or_(message.c.status == "sending", message.c.status == "unknown"),
            )
            .with_for_update()
        )
        open_ids = set(conn.execute(ours).scalars())
        answers = _as_rows([outcome for outcome in outcomes if outcome.customer_id in open_ids])
        conn.execute(
            sa.update(message)
            .where(message.c.window_start == window.start, message.c.customer_id == answers.c.customer_id)
            .values(
                status=sa.case((answers.c.provider_message_id.is_not(None), "accepted"), else_="unknown"),
                provider_message_id=answers.c.provider_message_id,
                error=answers.c.error,
                settled_at=now,
            )
        )


def _as_rows(outcomes: list[_Outcome]) -> sa.FromClause:
    return (
        sa.func.unnest(
            _ids([outcome.customer_id for outcome in outcomes]),
            _texts([outcome.provider_message_id for outcome in outcomes]),
            _texts([outcome.error for outcome in outcomes]),
        )
        .table_valued("customer_id", "provider_message_id", "error")
        .render_derived(name="answers")
    )


def _finish(engine: sa.Engine, window: Window, token: int, seconds: float) -> None:
    took = sa.func.jsonb_build_object("send", sa.cast(round(seconds, 3), sa.Numeric))
    by_status = _summary(engine, window).by_status
    if by_status.get("unknown"):
        log.warning("%s messages have an unknown outcome; they are not sent again", by_status["unknown"])
    with engine.begin() as conn:
        conn.execute(
            sa.update(campaign_table)
            .where(campaign_table.c.window_start == window.start, campaign_table.c.sender_token == token)
            .values(
                status="sending" if by_status.get("queued") else "complete",
                timings=campaign_table.c.timings.op("||")(took),
            )
        )


def _summary(engine: sa.Engine, window: Window) -> MessageSummary:
    with engine.begin() as conn:
        return ledger.summarise(conn, ledger.of(window))


def _ids(values: list[int]) -> sa.ColumnElement[list[int]]:
    return sa.literal(values, ARRAY(sa.BigInteger))


def _texts(values: list[str | None]) -> sa.ColumnElement[list[str | None]]:
    return sa.literal(values, ARRAY(sa.Text))


class _Progress:
    """A log line now and then, so that a long send shows signs of life."""

    def __init__(self, total: int, every: float = 5.0) -> None:
        self.total, self.every, self.said = total, every, monotonic()

    def __call__(self, done: int) -> None:
        if monotonic() - self.said >= self.every:
            self.said = monotonic()
            log.info("%s of %s messages accepted", done, self.total)
