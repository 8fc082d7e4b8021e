"""Step 5: queue one message for each customer to be texted, then send what is queued.

The promise: at most one message per customer and per phone in a campaign; every message whose fate is unknown is
listed, and none is sent again by machine. The ledger keeps it, not the scheduler, which may run one task twice at a
time: a row is unique, is committed as ``sending`` before it is handed over, and only the newest sender may claim.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.campaigns.segments import TEXTED
from engage.errors import NotReady, TooLate
from engage.sending import claims, eligibility, ledger, sender
from engage.sending.eligibility import Frequency
from engage.sending.ledger import MessageSummary
from engage.sending.sender import Means
from engage.settings import Settings
from engage.storage import partitions, schema
from engage.storage.schema import customer, customer_bucket
from engage.texts import phone
from engage.window import Window

BATCH = 10_000


def message(engine: sa.Engine, window: Window, *, options: RunOptions, means: Means) -> MessageSummary:
    """Queue the window's messages and send them, as far as ``options`` lets it. Again: sends nothing again.

    Raises:
        NotReady, GuardStop, NotApproved, TooLate: what ``queue`` raises.
        EngageError: what ``sender.send`` raises.
    """
    begun = means.clock()
    done = queue(engine, window, options=options, as_of=begun)
    if not done.note and done.unsettled:
        done = replace(sender.send(engine, window, means), frozen=done.frozen)
    return _with_news(engine, window, done, means.clock())


def _with_news(engine: sa.Engine, window: Window, done: MessageSummary, now: datetime) -> MessageSummary:
    """With what went wrong since somebody was last told; also in an earlier attempt, which did not get to tell it."""
    with engine.begin() as conn:
        found = campaign.find(conn, window, lock=True)
        assert found is not None
        unknown, why = ledger.unknown_since(conn, window, found.told_at), found.halted_by_itself
        if unknown or why:
            campaign.update(conn, window, told_at=now)
        return replace(done, unknown_now=unknown, halted_because=why)


def queue(
    engine: sa.Engine, window: Window, *, options: RunOptions, as_of: datetime, asking: bool = False
) -> MessageSummary:
    """Replace the window's ledger, unless it is frozen; ``note`` says why no message may go out now.

    With ``asking`` it is frozen with what waits in it, for somebody to approve of.

    Raises:
        NotReady: ``bucket`` has not run.
        GuardStop: something looks wrong about the campaign, and the run may text people.
        NotApproved: the run may text people, and somebody has to be asked first.
        TooManyMessages: somebody is to be asked about more messages than ``max_messages_per_run`` allows.
        TooLate: the campaign is frozen, and it is too late now for messages that still wait. They stay.
    """
    with campaign.step(engine, window, "queue") as step:
        held = options.skip_reason(window, step.settings, as_of)
        if step.campaign.frozen:
            summary = _as_it_stands(step, window, as_of)
        else:
            summary = _anew(step, window, options, held, as_of, asking=asking)
    if summary.frozen and held == "too_late" and not options.dry_run:
        _refuse_to_leave(window, summary.by_status.get("queued", 0), step.settings.send_within_days)
    return replace(summary, note=_note(window, held, options, frozen=summary.frozen))


def _anew(step: campaign.Step, window: Window, options: RunOptions, held: str | None,
          as_of: datetime, *, asking: bool) -> MessageSummary:  # fmt: skip
    """An open campaign's ledger, made from its buckets; a dry run leaves none."""
    if step.campaign.buckets is None:
        raise NotReady(f"The window {window} has no buckets yet: run its bucket step first.")
    if options.may_text(window, step.settings, as_of):
        step.campaign.guard.enforce(window)
    cap = eligibility.frequency(step.conn, window, step.settings, as_of)
    query = messages(window, step.settings, held, as_of, cap)
    rows = partitions.build(step.conn, schema.message, window, query)
    if step.settings.strict:
        _skip_invalid_phones(step.conn, rows, held)
    _skip_duplicate_phones(step.conn, rows, held)
    summary = ledger.summarise(step.conn, rows)
    if options.dry_run:
        partitions.discard(step.conn, schema.message, window)
        partitions.clear(step.conn, schema.message, window)
        step.save(status="bucketed")  # so that nobody takes over the queue that was here
        return summary
    partitions.swap_in(step.conn, schema.message, window)
    step.save(status="queued" if summary.unsettled else "complete")
    if summary.unsettled:
        _with_approval(step, window, summary.unsettled, as_of, asking=asking)
    return summary


def _with_approval(step: campaign.Step, window: Window, waiting: int, as_of: datetime, *, asking: bool) -> None:
    """Freeze the queue that was just made for somebody to approve of, or see to it that nobody needs to."""
    if not asking:
        step.campaign.enforce_approval()
        step.save(approval=None, approval_at=None, approval_by=None)
        return
    claims.refuse_too_many(window, waiting, step.settings.max_messages_per_run)
    step.save(frozen_at=as_of, approval="requested", approval_at=as_of, approval_by=None)


def _as_it_stands(step: campaign.Step, window: Window, as_of: datetime) -> MessageSummary:
    """A frozen campaign's ledger, once what senders that are gone have left in it is listed as unknown."""
    claims.abandon(step.conn, window, as_of)
    summary = ledger.summarise(step.conn, ledger.of(window))
    if not summary.unsettled and step.campaign.status == "sending":  # nothing is left for a sender to end it
        campaign.update(step.conn, window, status="complete", finished_at=as_of)
    return replace(summary, frozen=True)


def _refuse_to_leave(window: Window, waiting: int, days: int) -> None:
    """A run must not end well while messages wait that no later run would send by itself."""
    if waiting:
        raise TooLate(
            f"{waiting} {'message' if waiting == 1 else 'messages'} of the window {window} still "
            f"{'waits' if waiting == 1 else 'wait'} to be sent, but the window ended longer ago than "
            f"engage_send_within_days ({days}) allows, so this run has texted nobody. To send what waits, trigger a "
            "run of this window with send_late."
        )


def messages(
    window: Window, settings: Settings, held: str | None, as_of: datetime, cap: Frequency | None = None
) -> sa.Select[tuple[object, ...]]:
    """The rows of the ledger for the window's buckets, with its columns in order, by customer id.

    A customer in NONE gets no message and so no row. Who may not be texted has a row with the reason.
    """
    reasons: list[sa.ColumnElement[str]] = [eligibility.ineligible(settings, cap)]
    if settings.holdout_percent:
        chosen = eligibility.held_out(window, customer.c.customer_id, settings.holdout_percent)
        reasons.append(sa.case((chosen, "holdout"), else_=None))
    of_the_run = sa.cast(held, sa.Text)
    own = (
        sa.select(
            customer_bucket.c.window_start,
            customer_bucket.c.customer_id,
            customer_bucket.c.bucket,
            customer.c.phone_hash,
            sa.cast(sa.func.coalesce(*reasons, of_the_run), sa.Text).label("reason"),
        )
        .join(customer, customer.c.customer_id == customer_bucket.c.customer_id, isouter=True)
        .where(
            customer_bucket.c.window_start == window.start,
            customer_bucket.c.bucket == sa.any_(sa.literal(list(TEXTED), ARRAY(sa.Text))),
        )
        .order_by(customer_bucket.c.customer_id)
        .offset(0)  # keeps Postgres from working out the reason once for each column that depends on it
        .subquery("own")
    )
    values = {
        "window_start": own.c.window_start,
        "customer_id": own.c.customer_id,
        "bucket": own.c.bucket,
        "status": sa.cast(sa.case((own.c.reason.is_(None), "queued"), else_="skipped"), sa.Text),
        "reason": own.c.reason,
        "phone_hash": own.c.phone_hash,
        "queued_at": sa.cast(as_of, sa.DateTime(timezone=True)),
    }
    blank = {c.name: sa.cast(sa.null(), c.type) for c in schema.message.columns}
    columns = [(blank | values)[c.name].label(c.name) for c in schema.message.columns]
    return sa.select(*columns)


def _skip_invalid_phones(conn: sa.Connection, rows: sa.Table, held: str | None) -> None:
    """Skip numbers that cannot be anybody's. The database cannot tell, so they come by in batches."""
    query = (
        sa.select(rows.c.customer_id, customer.c.phone)
        .join(customer, customer.c.customer_id == rows.c.customer_id)
        .where(rows.c.reason.is_not_distinct_from(held))
    )
    with conn.execute(query, execution_options={"stream_results": True, "max_row_buffer": BATCH}) as found:
        invalid = [customer_id for customer_id, number in found if not phone.is_valid(number)]
    for first in range(0, len(invalid), BATCH):
        ids = sa.literal(invalid[first : first + BATCH], ARRAY(sa.BigInteger))
        conn.execute(
            sa.update(rows).where(rows.c.customer_id == sa.any_(ids)).values(status="skipped", reason="invalid_phone")
        )


def _skip_duplicate_phones(conn: sa.Connection, rows: sa.Table, held: str | None) -> None:
    """Of several customers with one phone, all of whom might be texted, only the one with the lowest id is."""
    might_be_texted = rows.c.reason.is_not_distinct_from(held)
    phones = rows.c.phone_hash
    repeated = sa.select(sa.func.count(phones) - sa.func.count(phones.distinct())).where(might_be_texted)
    if not conn.execute(repeated).scalar_one():  # half the work of finding them, and nearly always enough
        return
    shared = (
        sa.select(rows.c.phone_hash, sa.func.min(rows.c.customer_id).label("first"))
        .where(might_be_texted)
        .group_by(rows.c.phone_hash)
        .having(sa.func.count() > 1)
        .subquery("shared")
    )
    conn.execute(
        sa.update(rows)
        .where(rows.c.phone_hash == shared.c.phone_hash, rows.c.customer_id > shared.c.first, might_be_texted)
        .values(status="skipped", reason="duplicate_phone")
    )


def _note(window: Window, held: str | None, options: RunOptions, *, frozen: bool) -> str:
    """Why this run texts nobody; empty when it may."""
    unchanged = "The campaign is frozen, so nothing was changed. " if frozen else ""
    if options.dry_run:
        return unchanged or "A dry run: nothing was queued; the counts are what a run would have queued."
    if held == "backfill":
        return unchanged + "A backfill run never texts anybody."
    if held == "too_late":
        return unchanged + (
            f"The window ended {window.end:%Y-%m-%d}, too long ago to text anybody now. To do it all the same, "
            "trigger a run of this window with send_late."
        )
    return ""
