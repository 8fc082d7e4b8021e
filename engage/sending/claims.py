"""Claims: a sender takes queued messages, so that no other sender hands them over.

A claim is committed before any of its messages is handed over, and no lock is held while they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from engage.sending import bulk_update, eligibility, outcomes, personal, takeover
from engage.sending.compose import Composed
from engage.sending.providers import OutgoingSms
from engage.sending.takeover import Ownership
from engage.statuses import MessageStatus, SkipReason
from engage.storage.schema import campaign, customer, customer_activity, message, offer_code
from engage.texts.sms_segments import segments
from engage.window import Window


@dataclass(slots=True)
class Waiting:
    """A queued message, and what decides when it may be sent."""

    customer_id: int
    phone: str | None = field(repr=False)
    time_zone: str | None


@dataclass(slots=True)
class Claimed:
    """A message committed as ``sending``, which no other sender will hand over."""

    customer_id: int
    sms: OutgoingSms


@dataclass(frozen=True)
class Claim:
    """The messages of one claim to hand over, or that the campaign is halted.

    ``hold_until`` is when the first message that has to wait may be sent.
    """

    rows: Sequence[Claimed] = ()
    hold_until: datetime | None = None
    halted: bool = False


def waiting(engine: sa.Engine, owned: Ownership, *, after: int | None, limit: int) -> list[Waiting]:
    """The next queued messages by customer id. Walking the ledger in this way needs no index on ``status``.

    Phone and time zone are left out if they do not matter to this campaign.
    """
    query = (
        sa.select(message.c.customer_id, sa.null(), sa.null())
        .where(message.c.window_start == owned.window.start, message.c.status == MessageStatus.QUEUED)
        .order_by(message.c.customer_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(message.c.customer_id > after)
    if owned.settings.strict:
        same = customer.c.customer_id == message.c.customer_id
        columns = message.c.customer_id, customer.c.phone, customer.c.time_zone
        query = query.with_only_columns(*columns).join(customer, same, isouter=True)
    with engine.begin() as conn:
        return [Waiting(*row) for row in conn.execute(query).all()]


def claim(engine: sa.Engine, owned: Ownership, ids: Sequence[int], now: datetime) -> Claim:
    """Commit messages as ``sending``, before any is handed over. Customers who may no longer be texted are skipped.

    A message whose sending hours have closed in the meantime stays queued.

    Raises:
        Superseded: another sender has taken over.
    """
    with engine.begin() as conn:
        brake = conn.execute(
            sa.select(campaign.c.sender_token, campaign.c.halted_at)
            .where(campaign.c.window_start == owned.window.start)
            .with_for_update(read=True)
        ).one()
        if brake.sender_token != owned.token:
            raise takeover.superseded(owned.window)
        if brake.halted_at:
            return Claim(halted=True)
        found = conn.execute(_recipients(conn, owned, ids, now)).all()
        composed = {
            row.customer_id: Composed(skip_reason=row.reason) if row.reason else owned.composer.compose(row, now)
            for row in found
        }
        rows = [Claimed(id_, result.sms) for id_, result in composed.items() if result.sms]
        _skip(conn, owned.window, {id_: result.skip_reason for id_, result in composed.items()}, now)
        _mark_sending(conn, owned, rows, now)
        return Claim(rows, hold_until=min(filter(None, (r.hold_until for r in composed.values())), default=None))


def release(engine: sa.Engine, owned: Ownership, handed: Collection[int], now: datetime) -> None:
    """Queue again what was claimed and certainly never handed over, when a sender stops: all but ``handed``."""
    with engine.begin() as conn:
        outcomes.keep_from_abandoning(conn, owned.window)
        conn.execute(
            sa.update(message)
            .where(
                message.c.window_start == owned.window.start,
                message.c.sender_token == owned.token,
                message.c.status == MessageStatus.SENDING,
                message.c.customer_id != sa.all_(bulk_update.id_array(list(handed))),
            )
            .values(status=MessageStatus.QUEUED, queued_at=now)
        )


def _recipients(
    conn: sa.Connection, owned: Ownership, ids: Sequence[int], now: datetime
) -> sa.Select[tuple[object, ...]]:
    """The messages among ``ids`` that still wait, locked, with all that decides whether and what to send."""
    wanted = bulk_update.id_array(ids)
    eligibility.take_turns(conn)
    cap = eligibility.frequency_cap(conn, owned.window, owned.settings, now)
    changed = customer.c.phone_hash.is_distinct_from(message.c.phone_hash)
    reasons = [eligibility.ineligible(owned.settings, cap, now), _reason_if(changed, SkipReason.PHONE_CHANGED)]
    if owned.composer.personal:
        reasons.append(_reason_if(customer_activity.c.customer_id.is_(None), SkipReason.NO_BUCKET))
    if owned.composer.names_codes:
        reasons.append(_reason_if(offer_code.c.expires_at <= now, SkipReason.CODE_EXPIRED))
    query = (
        sa.select(
            message.c.customer_id,
            message.c.bucket,
            message.c.variant,
            customer.c.phone,
            customer.c.time_zone,
            customer.c.locale,
            sa.func.coalesce(*reasons).label("reason"),
        )
        .join(customer, _same_and_in(customer.c.customer_id, wanted), isouter=True)
        .where(
            message.c.window_start == owned.window.start,
            message.c.customer_id == sa.any_(wanted),
            message.c.status == MessageStatus.QUEUED,
        )
        .with_for_update(of=message)
    )
    if owned.composer.personal:
        same = _same_and_in(customer_activity.c.customer_id, wanted)
        of_window = customer_activity.c.window_start == owned.window.start
        query = query.add_columns(*personal.COLUMNS).join(customer_activity, sa.and_(same, of_window), isouter=True)
    if owned.composer.names_codes:
        same = _same_and_in(offer_code.c.customer_id, wanted)
        of_window = offer_code.c.window_start == owned.window.start
        query = query.add_columns(offer_code.c.code.label("offer_code"))
        query = query.join(offer_code, sa.and_(same, of_window), isouter=True)
    return query


def _reason_if(condition: sa.ColumnElement[bool], reason: SkipReason) -> sa.Case[str]:
    return sa.case((condition, sa.literal(reason, sa.Text)), else_=None)


def _same_and_in(customer_id: sa.ColumnElement[int], ids: sa.ColumnElement[list[int]]) -> sa.ColumnElement[bool]:
    """The condition that joins a message's customer. It names the ids again, else the planner reads every customer."""
    return sa.and_(customer_id == message.c.customer_id, customer_id == sa.any_(ids))


def _mark_sending(conn: sa.Connection, owned: Ownership, rows: Sequence[Claimed], now: datetime) -> None:
    if not rows:
        return
    texts = bulk_update.values(
        {"customer_id": row.customer_id, "body": row.sms.body, "segments": segments(row.sms.body)} for row in rows
    )
    matches = bulk_update.matches(texts, [row.customer_id for row in rows])
    conn.execute(
        sa.update(message)
        .where(message.c.window_start == owned.window.start, *matches)
        .values(
            status=MessageStatus.SENDING,
            sender_token=owned.token,
            sending_at=now,
            # a provider that takes its messages at once gets them right after the claim; others are marked one by one
            handed_over_at=None if owned.provider.concurrent else now,
            provider=owned.provider.name,
            body=texts.c.body,
            segments=texts.c.segments,
        )
    )


def _skip(conn: sa.Connection, window: Window, reasons: Mapping[int, str | None], now: datetime) -> None:
    """Skip the queued messages that have a reason to be skipped, by customer id."""
    for reason in set(reasons.values()) - {None}:
        ids = [customer_id for customer_id, why in reasons.items() if why == reason]
        conn.execute(
            sa.update(message)
            .where(message.c.window_start == window.start, message.c.customer_id == sa.any_(bulk_update.id_array(ids)))
            .values(status=MessageStatus.SKIPPED, reason=reason, settled_at=now)
        )
