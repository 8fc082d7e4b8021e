"""The sender: hands the queued messages of one campaign to a provider, each at most once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic, perf_counter

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage import ledger, sms
from engage.bucket import BOOST
from engage.errors import Superseded
from engage.ledger import MessageSummary
from engage.schema import campaign, customer, message
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
        Superseded: a newer sender has taken over.
    """
    started = perf_counter()
    token, settings, waiting = _take_over(engine, window, clock())
    provider = provider_named(settings.sms_provider)
    accepted, last, halted = 0, -(2**63), False
    progress = _Progress(waiting)
    while not halted:
        claim = _claim(engine, window, provider, settings, token=token, after=last, now=clock())
        halted = claim.halted
        if claim.last is None:
            break
        last = claim.last
        outcomes = [_hand_over(provider, row) for row in claim.rows]
        _record(engine, window, outcomes, token=token, now=clock())
        accepted += sum(outcome.provider_message_id is not None for outcome in outcomes)
        progress(accepted)
    return _finish(engine, window, token, perf_counter() - started, accepted=accepted, halted=halted)


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


def _take_over(engine: sa.Engine, window: Window, now: datetime) -> tuple[int, Settings, int]:
    """Become the campaign's only sender, and list what the last one left without an outcome."""
    with engine.begin() as conn:
        row = conn.execute(
            sa.update(campaign)
            .where(campaign.c.window_start == window.start)
            .values(
                sender_token=campaign.c.sender_token + 1,
                frozen_at=sa.func.coalesce(campaign.c.frozen_at, now),
                status="sending",
            )
            .returning(campaign.c.sender_token, campaign.c.settings)
        ).one()
        abandoned = conn.execute(
            sa.update(message)
            .where(
                message.c.window_start == window.start,
                message.c.status == "sending",
                message.c.sender_token < row.sender_token,
            )
            .values(status="unknown", error="the sender stopped before it recorded an outcome", settled_at=now)
        ).rowcount
        if abandoned:
            log.warning("%s messages of an earlier sender have an unknown outcome; they are not sent again", abandoned)
        waiting = conn.execute(
            sa.select(sa.func.count()).where(message.c.window_start == window.start, message.c.status == "queued")
        ).scalar_one()
        return row.sender_token, Settings.from_snapshot(row.settings), waiting


def _claim(
    engine: sa.Engine,
    window: Window,
    provider: SmsProvider,
    settings: Settings,
    *,
    token: int,
    after: int,
    now: datetime,
) -> _Claim:
    """Commit the next messages as ``sending``, before anything is handed over; skip who may no longer be texted.

    Walking the ledger by customer id finds the next ones without an index on ``status``.
    """
    with engine.begin() as conn:
        brake = conn.execute(
            sa.select(campaign.c.sender_token, campaign.c.halted_at)
            .where(campaign.c.window_start == window.start)
            .with_for_update(read=True)
        ).one()
        if brake.sender_token != token:
            raise Superseded(f"Another sender has taken over the campaign of the window {window}; this one stops.")
        if brake.halted_at:
            return _Claim(halted=True)
        picked = conn.execute(
            sa.select(message.c.customer_id)
            .where(message.c.window_start == window.start, message.c.status == "queued", message.c.customer_id > after)
            .order_by(message.c.customer_id)
            .limit(provider.claim_size)
            .with_for_update(skip_locked=True)
        ).all()
        if not picked:
            return _Claim()
        recipients = conn.execute(
            sa.select(customer.c.customer_id, customer.c.phone, ledger.ineligible().label("reason")).where(
                customer.c.customer_id == sa.any_(_ids([row.customer_id for row in picked]))
            )
        ).all()
        reasons: dict[int, str | None] = {row.customer_id: "no_customer" for row in picked}
        reasons |= {row.customer_id: row.reason for row in recipients}
        _skip(conn, window, reasons, now)
        phones = {row.customer_id: row.phone for row in recipients if not row.reason}
        claimed = conn.execute(
            sa.update(message)
            .where(message.c.window_start == window.start, message.c.customer_id == sa.any_(_ids(list(phones))))
            .values(
                status="sending",
                sender_token=token,
                sending_at=now,
                provider=provider.name,
                body=sa.case((message.c.bucket == BOOST, settings.message_boost), else_=settings.message_reward),
            )
            .returning(message.c.customer_id, message.c.body)
        ).all()
        rows = [_Claimed(row.customer_id, phones[row.customer_id], row.body) for row in claimed]
        return _Claim(rows, last=picked[-1].customer_id)


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
    statement = (
        sa.update(message)
        .where(
            message.c.window_start == window.start,
            message.c.customer_id == sa.bindparam("claimed"),
            message.c.sender_token == token,
            sa.or_(message.c.status == "sending", message.c.status == "unknown"),
        )
        .values(
            status=sa.bindparam("outcome"),
            provider_message_id=sa.bindparam("provider_message_id"),
            error=sa.bindparam("error"),
            settled_at=now,
        )
    )
    values = [
        {
            "claimed": outcome.customer_id,
            "outcome": "unknown" if outcome.provider_message_id is None else "accepted",
            "provider_message_id": outcome.provider_message_id,
            "error": outcome.error,
        }
        for outcome in outcomes
    ]
    with engine.begin() as conn:
        conn.execute(statement, values)


def _finish(
    engine: sa.Engine, window: Window, token: int, seconds: float, *, accepted: int, halted: bool
) -> MessageSummary:
    took = sa.func.jsonb_build_object("send", sa.cast(round(seconds, 3), sa.Numeric))
    with engine.begin() as conn:
        summary = ledger.summarise(conn, ledger.of(window))
        waiting = summary.by_status.get("queued", 0)
        conn.execute(
            sa.update(campaign)
            .where(campaign.c.window_start == window.start, campaign.c.sender_token == token)
            .values(status="sending" if waiting else "complete", timings=campaign.c.timings.op("||")(took))
        )
    note = f"Halted: {waiting} messages wait for the campaign to be resumed." if halted else ""
    return replace(summary, accepted_now=accepted, halted=halted, note=note)


def _ids(values: list[int]) -> sa.ColumnElement[list[int]]:
    return sa.literal(values, ARRAY(sa.BigInteger))


class _Progress:
    """A log line now and then, so that a long send shows signs of life."""

    def __init__(self, total: int, every: float = 5.0) -> None:
        self.total, self.every, self.said = total, every, monotonic()

    def __call__(self, done: int) -> None:
        if monotonic() - self.said >= self.every:
            self.said = monotonic()
            log.info("%s of %s messages accepted", done, self.total)
