"""The queue: makes a campaign's ledger from its buckets, until the campaign is frozen.

Every customer in a texted bucket gets one row: ``queued``, or ``skipped`` with the reason. ``eligibility`` decides
which, and decides again when a sender claims the message. Of the customers who might be texted, chance puts some in the
holdout. A row's arm stays, whatever becomes of its message: the experiment compares who was meant to be texted.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.campaigns import campaign, lateness, learnt_weights, message_counts
from engage.campaigns.budget_cuts import BudgetCut
from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.run_options import RunOptions
from engage.campaigns.variants import TextWeights
from engage.errors import NotReady
from engage.sending import budget, budget_cut, eligibility, experiment_draw, offer_codes, outcomes, takeover
from engage.sending.eligibility import FrequencyCap
from engage.sending.experiment_draw import Weights
from engage.sending.ledger import MessageSummary, Preview
from engage.settings import Settings
from engage.statuses import CampaignStatus, ExperimentArm, MessageStatus, SkipReason
from engage.storage import partitions, schema
from engage.storage.schema import customer, customer_bucket
from engage.texts import phone
from engage.window import Window

BATCH = 10_000


def build(
    engine: sa.Engine, window: Window, *, options: RunOptions, as_of: datetime, for_approval: bool = False
) -> MessageSummary:
    """Replace the window's ledger, unless the campaign is frozen; ``note`` says why no message may go out now.

    With ``for_approval`` the campaign is frozen as well, if so many messages need an approval, and approval requested.

    Raises:
        NotReady: ``bucket`` has not run.
        GuardStop: the guard has findings, and the run may text customers.
        NotApproved: the run may text customers, and an approval is required first.
        TooFewCodes: texts name an offer code, and the offer has too few; the campaign stays as it was.
        TooManyMessages: ``for_approval``, and more messages wait than ``max_messages_per_run`` allows.
        OverBudget: ``for_approval``, and the messages may cost more than ``message_budget`` allows.
        TooLate: the campaign is frozen, and it is too late now for messages that still wait. They stay.
    """
    with campaign.step(engine, window, "queue") as step:
        skip_reason = options.skip_reason(window, step.settings, as_of)
        if step.campaign.frozen:
            summary = _keep(step, as_of)
        else:
            summary = _replace(step, options, skip_reason, as_of, for_approval=for_approval)
    if summary.frozen and skip_reason is SkipReason.TOO_LATE and not options.dry_run:
        lateness.refuse_to_leave(window, summary.by_status.get(MessageStatus.QUEUED, 0), step.settings.send_within_days)
    note = _note(window, options, skip_reason, frozen=summary.frozen)
    return replace(summary, note=f"{note} {summary.note}".strip())


def _replace(
    step: campaign.Step, options: RunOptions, skip_reason: SkipReason | None, as_of: datetime, *, for_approval: bool
) -> MessageSummary:
    """Make the ledger of an open campaign; a dry run leaves none."""
    if step.campaign.buckets is None:
        raise NotReady(f"The window {step.window} has no buckets yet: run its bucket step first.")
    if options.may_text(step.window, step.settings, as_of):
        step.campaign.guard.enforce(step.window)
    offer_codes.take_turns(step.conn, step.settings)
    cap = eligibility.frequency_cap(step.conn, step.window, step.settings, as_of)
    texts = _texts(step)
    weights = {name: one.weights for name, one in texts.items()}
    query = _new_rows(step.window, step.settings, skip_reason, as_of, cap, weights=weights)
    rows = partitions.build(step.conn, schema.message, step.window, query)
    if step.settings.strict:
        _skip_untextable_phones(step.conn, rows, skip_reason)
    _skip_duplicate_phones(step.conn, rows, skip_reason)
    counts, cuts = _within_budget(step, rows)
    offer_codes.release(step.conn, step.window)
    summary = MessageSummary.of(counts)
    step.save(mode=options.mode(step.window, step.settings, as_of))
    step.save(
        variants={name: one.to_json() for name, one in texts.items()},
        budget_cut={name: one.to_json() for name, one in cuts.items()} or None,
    )
    if options.dry_run:
        messages = budget.waiting(counts)
        codes = offer_codes.demand(step.conn, rows, step.settings, as_of)
        note = f"{codes.words} {codes.advice}".strip()
        summary = replace(summary, preview=_preview(step.settings, messages), note=note)
        partitions.discard(step.conn, schema.message, step.window)
        partitions.clear(step.conn, schema.message, step.window)
        message_counts.keep(step.conn, step.window, MessageCounts())
        step.save(status=CampaignStatus.BUCKETED)  # so that no sender takes over the queue that was here
        return summary
    offer_codes.give(step.conn, step.window, rows, step.settings, as_of)
    partitions.swap_in(step.conn, schema.message, step.window)
    message_counts.keep(step.conn, step.window, counts)
    step.save(status=CampaignStatus.QUEUED if summary.unsettled else CampaignStatus.COMPLETE)
    approval = step.campaign.approval
    if summary.unsettled and for_approval and approval.requires(summary.unsettled):
        _freeze_for_approval(step, counts, as_of)
    elif summary.unsettled:
        approval.enforce(summary.unsettled)
        step.save(**approval.cleared().columns)
    return summary


def _within_budget(step: campaign.Step, rows: sa.Table) -> tuple[MessageCounts, dict[str, BudgetCut]]:
    """Cut the new ledger to the budget if the settings ask for it; returns its counts and the cuts."""
    counts = message_counts.counted(step.conn, rows)
    cuts = budget_cut.cut(step.conn, rows, step.window, step.settings, budget.waiting(counts))
    return (message_counts.counted(step.conn, rows) if cuts else counts), cuts


def _texts(step: campaign.Step) -> dict[str, TextWeights]:
    """How the texts of segments with several are drawn: as in the queue that was here, so that a rebuild is equal."""
    kept = step.campaign.variants
    return learnt_weights.of_segments(step.conn, step.window, step.settings) if kept is None else kept


def _freeze_for_approval(step: campaign.Step, counts: MessageCounts, as_of: datetime) -> None:
    takeover.refuse_too_many(step.window, counts.waiting, step.settings.max_messages_per_run)
    budget.refuse_too_dear(step.window, step.settings, budget.waiting(counts))
    step.save(frozen_at=as_of, **step.campaign.approval.requested(as_of).columns)


def _keep(step: campaign.Step, as_of: datetime) -> MessageSummary:
    """Summarise the ledger of a frozen campaign, after listing as unknown what a lost sender left in it."""
    outcomes.abandon(step.conn, step.window, as_of)
    summary = MessageSummary.of(message_counts.of(step.conn, step.window))
    if not summary.unsettled and step.campaign.status is CampaignStatus.SENDING:  # no sender is left to end it
        campaign.update(step.conn, step.window, status=CampaignStatus.COMPLETE, finished_at=as_of)
    return replace(summary, frozen=True)


def _new_rows(
    window: Window,
    settings: Settings,
    skip_reason: SkipReason | None,
    as_of: datetime,
    cap: FrequencyCap | None = None,
    *,
    weights: Weights,
) -> sa.Select[tuple[object, ...]]:
    """The rows of the ledger for the window's buckets, with its columns in order, by customer id.

    A customer in a segment without a text gets no message and so no row. ``skip_reason`` is for customers who have no
    reason of their own; without one, chance puts them in an arm. Later corrections take customers out of it.
    ``weights``: the share of each text, by segment with several.
    """
    reason = sa.func.coalesce(eligibility.ineligible(settings, cap, as_of), _text(skip_reason))
    placed = (
        sa.select(
            customer_bucket.c.window_start,
            customer_bucket.c.customer_id,
            customer_bucket.c.bucket,
            customer.c.phone_hash,
        )
        .join(customer, customer.c.customer_id == customer_bucket.c.customer_id, isouter=True)
        .where(
            customer_bucket.c.window_start == window.start,
            customer_bucket.c.bucket == sa.any_(sa.literal(list(settings.texted), ARRAY(sa.Text))),
        )
        .order_by(customer_bucket.c.customer_id)
        .offset(0)  # keeps Postgres from computing a column once for each one that depends on it
    )
    own = experiment_draw.drawn(placed, reason, window, settings.holdout_percent, weights)
    waits = own.c.reason.is_(None)
    values = {
        "window_start": own.c.window_start,
        "customer_id": own.c.customer_id,
        "bucket": own.c.bucket,
        "status": sa.case((waits, _text(MessageStatus.QUEUED)), else_=_text(MessageStatus.SKIPPED)),
        "reason": own.c.reason,
        "phone_hash": own.c.phone_hash,
        "queued_at": sa.cast(as_of, sa.DateTime(timezone=True)),
        "arm": sa.case(
            (waits, _text(ExperimentArm.TEXTED)),
            (own.c.reason == SkipReason.HOLDOUT, _text(ExperimentArm.HOLDOUT)),
            else_=_text(None),
        ),
        "variant": sa.case((waits, own.c.variant), else_=_text(None)),
    }
    blank = {c.name: sa.cast(sa.null(), c.type) for c in schema.message.columns}
    columns = [(blank | values)[c.name].label(c.name) for c in schema.message.columns]
    return sa.select(*columns)


def _text(value: str | None) -> sa.ColumnElement[str | None]:
    return sa.cast(sa.null() if value is None else sa.literal(value, sa.Text), sa.Text)


def _might_be_texted(rows: sa.Table, skip_reason: SkipReason | None) -> sa.ColumnElement[bool]:
    """Whether nothing about the customer prevents a text: only the whole campaign's reason, or the draw."""
    return sa.or_(rows.c.reason.is_not_distinct_from(skip_reason), rows.c.arm.is_not(None))


def _skipped(reason: SkipReason) -> dict[str, str | None]:
    """The values of a row that is skipped, and so in no arm."""
    return {"status": MessageStatus.SKIPPED, "reason": reason, "arm": None, "variant": None}


def _skip_untextable_phones(conn: sa.Connection, rows: sa.Table, skip_reason: SkipReason | None) -> None:
    """Skip numbers that no mobile phone can have. The database cannot tell, so they are checked here in batches."""
    query = (
        sa.select(rows.c.customer_id, customer.c.phone)
        .join(customer, customer.c.customer_id == rows.c.customer_id)
        .where(_might_be_texted(rows, skip_reason))
    )
    skipped: dict[SkipReason, list[int]] = defaultdict(list)
    with conn.execute(query, execution_options={"stream_results": True, "max_row_buffer": BATCH}) as found:
        for customer_id, number in found:
            if why := phone.not_textable(number):
                skipped[why].append(customer_id)
    for why, customers in skipped.items():
        for first in range(0, len(customers), BATCH):
            ids = sa.literal(customers[first : first + BATCH], ARRAY(sa.BigInteger))
            conn.execute(sa.update(rows).where(rows.c.customer_id == sa.any_(ids)).values(_skipped(why)))


def _skip_duplicate_phones(conn: sa.Connection, rows: sa.Table, skip_reason: SkipReason | None) -> None:
    """Of the customers who share a phone and might be texted, keep only the lowest id. All of them are in one arm."""
    might_be_texted = _might_be_texted(rows, skip_reason)
    phones = rows.c.phone_hash
    repeated = sa.select(sa.func.count(phones) - sa.func.count(phones.distinct())).where(might_be_texted)
    if not conn.execute(repeated).scalar_one():  # a cheaper query than the next, and nearly always enough
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
        .values(_skipped(SkipReason.DUPLICATE_PHONE))
    )


def waiting_by_bucket(conn: sa.Connection, window: Window) -> dict[str, int]:
    """How many of the window's messages wait to be sent, for each segment that has any."""
    return budget.waiting(message_counts.of(conn, window))


def _preview(settings: Settings, messages: dict[str, int]) -> Preview:
    cost = budget.most(settings, messages)
    return Preview(
        messages,
        budget.estimated_segments(settings, messages),
        cost=None if cost is None else f"{cost:f}",
        exceeds_budget=settings.message_budget.text if budget.exceeded(settings, messages) else None,
    )


def reject(conn: sa.Connection, window: Window, as_of: datetime) -> None:
    """Skip every message that waits, as the approver has rejected the list."""
    message = schema.message
    conn.execute(
        sa.update(message)
        .where(message.c.window_start == window.start, message.c.status == MessageStatus.QUEUED)
        .values(status=MessageStatus.SKIPPED, reason=SkipReason.REJECTED, settled_at=as_of)
    )


def _note(window: Window, options: RunOptions, skip_reason: SkipReason | None, *, frozen: bool) -> str:
    """Why this run sends nothing; empty if it may send."""
    unchanged = "The campaign is frozen, so nothing was changed. " if frozen else ""
    if options.dry_run:
        return unchanged or "A dry run: nothing was queued; the counts are what a run would have queued."
    if skip_reason is SkipReason.BACKFILL:
        return unchanged + "A backfill run sends no messages."
    if skip_reason is SkipReason.TOO_LATE:
        return unchanged + lateness.note(window)
    return ""
