"""The outbox: the ledger's rows as a sender takes them up, marks them, and writes down what became of them.

Every change is committed before and after a message is handed over, never around it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.customers import suppression as suppressions
from engage.errors import NotReady, Superseded, TooManyMessages
from engage.sending import eligibility
from engage.sending.compose import Composed, Composer
from engage.sending.providers import Outcome, OutgoingSms, Reply, SmsProvider
from engage.settings import Settings
from engage.statuses import SuppressionReason
from engage.storage import json_rows
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer, customer_bucket, message
from engage.texts.sms_segments import segments
from engage.window import Window

log = logging.getLogger(__name__)

HELD_AT_MOST = timedelta(minutes=5)
"""Far longer than a living sender holds a message: its turn, the provider's time to answer, and writing that down."""
_OUTCOMES_LOCK = 0x6F757463  # "outc"


@dataclass(frozen=True)
class Taken:
    """A campaign in one sender's hands."""

    window: Window
    token: int
    settings: Settings
    provider: SmsProvider
    composer: Composer
    waiting: int


@dataclass(slots=True)
class Waiting:
    """A queued message, and what says when it may be sent."""

    customer_id: int
    phone: str | None = field(repr=False)
    time_zone: str | None


@dataclass(slots=True)
class Claimed:
    """A message committed as ``sending``, which nobody else will hand over."""

    customer_id: int
    sms: OutgoingSms


@dataclass(frozen=True)
class Claim:
    """What came of claiming some messages: those to hand over, or that the campaign is halted.

    ``hold_until`` is when the first of those that have to wait may be sent.
    """

    rows: Sequence[Claimed] = ()
    hold_until: datetime | None = None
    halted: bool = False


@dataclass(slots=True)
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

    Once there is a provider to send with, the list is made, and stays whatever comes of the rest. Only the rest freezes
    the campaign, which has to be as the queue was made from: a step that has run since reopens it.

    Raises:
        NotReady: the campaign was computed anew, or tried out, since its messages were queued.
        NotApproved: somebody has to approve of the messages, and nobody has.
        TooManyMessages: more wait than ``max_messages_per_run`` allows; the campaign stays as open as it was.
        Superseded: another sender has taken over in this moment.
    """
    with engine.begin() as conn:
        found, chosen = _sendable(conn, window)
    # before anything is changed: who has no account must not stop a sender that has one
    provider = None if found.halted_at else provider_named(chosen.sms_provider)
    token = _supersede(engine, window, now)
    with engine.begin() as conn:
        found, settings = _sendable(conn, window)
        if found.sender_token != token or settings != chosen:
            raise _superseded(window)
        if provider is None or found.halted_at:
            return None
        campaign.update(conn, window, frozen_at=found.frozen_at or now, status="sending")
        count = sa.select(sa.func.count()).where(message.c.window_start == window.start, message.c.status == "queued")
        waiting = conn.execute(count).scalar_one()
        refuse_too_many(window, waiting, settings.max_messages_per_run)
        return Taken(window, token, settings, provider, Composer(window, settings), waiting)


def _supersede(engine: sa.Engine, window: Window, now: datetime) -> int:
    """Stop every earlier sender, and list what they have left; returns the new sender's token."""
    with engine.begin() as conn:
        found, _ = _sendable(conn, window)
        token = found.sender_token + 1
        campaign.update(conn, window, sender_token=token)
        abandon(conn, window, now, token=token)
        return token


def _sendable(conn: sa.Connection, window: Window) -> tuple[Campaign, Settings]:
    """The campaign, locked, with its settings."""
    found = campaign.find(conn, window, lock=True)
    if found is None or found.settings is None or not (found.frozen or found.status == "queued"):
        raise NotReady(
            f"The campaign of the window {window} was computed anew, or its queue cleared by a dry run, after its "
            "messages had been queued, so none is sent. Run its steps again, up to message."
        )
    found.approval.enforce()
    return found, found.settings


def _superseded(window: Window) -> Superseded:
    return Superseded(f"Another sender has taken over the campaign of the window {window}; this one stops.")


def abandon(conn: sa.Connection, window: Window, now: datetime, *, token: int | None = None) -> None:
    """List as unknown what a sender that is gone has left: one before ``token``'s, or one that is not heard of.

    Without a ``token`` no living sender is disturbed. Should one be that slow, its answer still settles the message.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_OUTCOMES_LOCK, int(window.key))))
    gone = message.c.sending_at < now - HELD_AT_MOST if token is None else message.c.sender_token < token
    left = conn.execute(
        sa.update(message)
        .where(message.c.window_start == window.start, message.c.status == "sending", gone)
        .values(status="unknown", error="the sender stopped before it recorded an outcome", unknown_at=now)
    ).rowcount
    if left:
        log.warning("%s messages of an earlier sender have an unknown outcome; they are not sent again", left)


def refuse_too_many(window: Window, waiting: int, allowed: int) -> None:
    """Let a run text nobody rather than more people than somebody meant.

    Raises:
        TooManyMessages: more wait than are ``allowed``.
    """
    if allowed and waiting > allowed:
        raise TooManyMessages(
            f"{waiting} messages wait to be sent for the window {window}, and max_messages_per_run allows {allowed}. "
            "Nobody was texted. If that many are right, raise it and run the campaign again from extract."
        )


def waiting(engine: sa.Engine, taken: Taken, *, after: int, limit: int) -> list[Waiting]:
    """The next queued messages by customer id. Walking the ledger so needs no index on ``status``.

    Where the recipients are is left out if it does not matter to this campaign.
    """
    query = (
        sa.select(message.c.customer_id, sa.null(), sa.null())
        .where(
            message.c.window_start == taken.window.start, message.c.status == "queued", message.c.customer_id > after
        )
        .order_by(message.c.customer_id)
        .limit(limit)
    )
    if taken.settings.strict:
        same = customer.c.customer_id == message.c.customer_id
        columns = message.c.customer_id, customer.c.phone, customer.c.time_zone
        query = query.with_only_columns(*columns).join(customer, same, isouter=True)
    with engine.begin() as conn:
        return [Waiting(*row) for row in conn.execute(query).all()]


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
            raise _superseded(taken.window)
        if brake.halted_at:
            return Claim(halted=True)
        found = conn.execute(_recipients(conn, taken, ids, now)).all()
        fates = [Composed(reason=row.reason) if row.reason else taken.composer.compose(row, now) for row in found]
        by_id = [(row.customer_id, fate) for row, fate in zip(found, fates, strict=True)]
        rows = [Claimed(customer_id, fate.sms) for customer_id, fate in by_id if fate.sms]
        _skip(conn, taken.window, {customer_id: fate.reason for customer_id, fate in by_id if fate.reason}, now)
        _mark_sending(conn, taken, rows, now)
        return Claim(rows, hold_until=min(filter(None, (fate.hold_until for fate in fates)), default=None))


def _recipients(conn: sa.Connection, taken: Taken, ids: Sequence[int], now: datetime) -> sa.Select[tuple[object, ...]]:
    """The messages among ``ids`` that still wait, locked, with all that decides whether and what to send."""
    wanted = _ids(ids)
    eligibility.take_turns(conn)
    cap = eligibility.frequency(conn, taken.window, taken.settings, now)
    changed = sa.case((customer.c.phone_hash.is_distinct_from(message.c.phone_hash), "phone_changed"), else_=None)
    reasons: list[sa.ColumnElement[str]] = [eligibility.ineligible(taken.settings, cap), changed]
    if taken.composer.personal:
        reasons.append(sa.case((customer_bucket.c.customer_id.is_(None), "no_bucket"), else_=None))
    query = (
        sa.select(
            message.c.customer_id,
            message.c.bucket,
            customer.c.phone,
            customer.c.time_zone,
            sa.func.coalesce(*reasons).label("reason"),
        )
        .join(customer, _same_and_in(customer.c.customer_id, wanted), isouter=True)
        .where(
            message.c.window_start == taken.window.start,
            message.c.customer_id == sa.any_(wanted),
            message.c.status == "queued",
        )
        .with_for_update(of=message)
    )
    if taken.composer.personal:
        named = customer.c.name, customer_bucket.c.total_spend_cents, customer_bucket.c.avg_weekly_sessions
        same = _same_and_in(customer_bucket.c.customer_id, wanted)
        of_window = customer_bucket.c.window_start == taken.window.start
        query = query.add_columns(*named).join(customer_bucket, sa.and_(same, of_window), isouter=True)
    return query


def _same_and_in(customer_id: sa.ColumnElement[int], ids: sa.ColumnElement[list[int]]) -> sa.ColumnElement[bool]:
    """The condition to join a message's customer; saying which ones twice keeps the planner from reading everybody."""
    return sa.and_(customer_id == message.c.customer_id, customer_id == sa.any_(ids))


def _each(rows: sa.FromClause, ids: Sequence[int]) -> tuple[sa.ColumnElement[bool], ...]:
    """The condition to update each message from its row of ``rows``; it says which ones twice for the same reason."""
    return message.c.customer_id == rows.c.customer_id, message.c.customer_id == sa.any_(_ids(ids))


def _mark_sending(conn: sa.Connection, taken: Taken, rows: Sequence[Claimed], now: datetime) -> None:
    if not rows:
        return
    texts = _table(
        {"customer_id": row.customer_id, "body": row.sms.body, "segments": segments(row.sms.body)} for row in rows
    )
    conn.execute(
        sa.update(message)
        .where(message.c.window_start == taken.window.start, *_each(texts, [row.customer_id for row in rows]))
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
        _begin_outcomes(conn, taken.window)
        _settle(conn, taken, answers, now)
        _suppress(conn, taken.window, [a.customer_id for a in answers if a.reply and a.reply.suppress], now)


def _begin_outcomes(conn: sa.Connection, window: Window) -> None:
    """Until the commit nobody abandons messages, who would change the same ones in another order: a deadlock.

    The campaign's row is no help. Whoever shares it goes ahead of who waits for it, so a sender that held it while it
    claims and while it writes down, in turns, might keep a halt waiting to the end.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_OUTCOMES_LOCK, int(window.key))))


def _settle(conn: sa.Connection, taken: Taken, answers: Sequence[Answer], now: datetime) -> None:
    """Move messages on from the status that they are in by now, and leave alone those that are not this sender's.

    The rows are picked by key alone, and what else decides is a part of the new values: fresh statistics do not know
    of these states yet, and a plan that hoped for one row by state would compare a thousand with a thousand.
    """
    told = _table(_told(answer) for answer in answers)
    ours = sa.and_(
        message.c.sender_token.is_not_distinct_from(taken.token), message.c.status.notin_(("queued", "skipped"))
    )
    moves = sa.and_(ours, message.c.status.in_(("sending", "unknown")))
    # another sender has listed an unknown one and may not send it again: what was not taken has failed
    too_late = sa.and_(message.c.status == "unknown", told.c.status == "queued")
    status = sa.case((~moves, message.c.status), (too_late, "failed"), else_=told.c.status)
    moment = sa.cast(now, sa.DateTime(timezone=True))

    def learnt(name: str) -> sa.ColumnElement[Any]:
        return sa.case((ours, sa.func.coalesce(told.c[name], message.c[name])), else_=message.c[name])

    def when(name: str, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        return sa.case((condition, moment), else_=message.c[name])

    accepted = sa.and_(ours, message.c.accepted_at.is_(None), told.c.provider_message_id.is_not(None))
    conn.execute(
        sa.update(message)
        .where(message.c.window_start == taken.window.start, *_each(told, [answer.customer_id for answer in answers]))
        .values(
            status=status,
            provider_message_id=learnt("provider_message_id"),
            error=learnt("error"),
            error_code=learnt("error_code"),
            queued_at=when("queued_at", sa.and_(moves, told.c.status == "queued")),
            unknown_at=when("unknown_at", sa.and_(ours, message.c.status == "sending", told.c.status == "unknown")),
            accepted_at=when("accepted_at", accepted),
            settled_at=when("settled_at", sa.and_(moves, sa.or_(told.c.status == "failed", too_late))),
        )
    )


def _told(answer: Answer) -> dict[str, Any]:
    """What an answer says, as columns of the message."""
    told: dict[str, Any] = {"customer_id": answer.customer_id, "status": answer.status}
    if answer.reply is None:
        return told | {"error": answer.error}
    told["provider_message_id"] = answer.reply.provider_message_id
    return told | {"error": answer.reply.error, "error_code": answer.reply.error_code}


def release(engine: sa.Engine, taken: Taken, handed: Collection[int], now: datetime) -> None:
    """Put back what was claimed and never handed over, when a sender has to stop: all but ``handed``."""
    with engine.begin() as conn:
        _begin_outcomes(conn, taken.window)
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
        suppressions.suppress(
            conn, phone_hash, reason=SuppressionReason.PROVIDER, source="the provider's answer", as_of=now
        )


def _table(rows: Iterable[dict[str, Any]]) -> sa.FromClause:
    """What is to be written about messages, as a table with some of the ledger's columns."""
    return json_rows.table(rows, *(sa.column(name, message.c[name].type) for name in _TOLD))


_TOLD = ("customer_id", "status", "body", "segments", "provider_message_id", "error", "error_code")


def _ids(ids: Sequence[int]) -> sa.ColumnElement[list[int]]:
    return sa.literal(list(ids), ARRAY(sa.BigInteger))
