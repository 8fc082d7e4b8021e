"""Step 4: put every customer in a bucket, which is the segment that the campaign's rules give."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import sqlalchemy as sa

from engage.campaigns import campaign, guard, odd_customers, shares
from engage.campaigns.distribution import distribution
from engage.errors import NotReady
from engage.segments import sql
from engage.settings import Settings
from engage.statuses import CampaignStatus
from engage.storage import partitions
from engage.storage.schema import customer_activity, customer_bucket
from engage.window import Window

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BucketSummary:
    """Customers by bucket; ``frozen``: an earlier run computed them.

    ``guard``: the guard's findings, or empty. ``warnings``: what it did not check, or empty. ``shares``: what shares of
    the customers became, or empty.
    """

    buckets: dict[str, int]
    frozen: bool = False
    guard: str = ""
    warnings: str = ""
    shares: str = ""


def bucket(engine: sa.Engine, window: Window) -> BucketSummary:
    """Replace the window's rows of ``customer_bucket``, unless the campaign is frozen.

    Raises:
        NotReady: ``extract`` or ``aggregate`` has not run.
    """
    with campaign.step(engine, window, "bucket") as step:
        found = step.campaign
        if found.frozen:
            return BucketSummary(found.buckets or {}, frozen=True)
        if found.customers is None:
            raise NotReady(f"The window {window} has no aggregates yet: run its aggregate step first.")
        rows = partitions.of(customer_activity, window)  # a lock on the parent would deadlock with aggregates beside it
        resolved = shares.resolve(step.conn, rows, window, step.settings, customers=found.customers)
        settings = step.settings.with_resolved(resolved)
        partitions.replace(step.conn, customer_bucket, window, assignment(rows, window, settings))
        counted = distribution(step.conn, window, settings)
        buckets = dict.fromkeys(settings.segments.names, 0) | counted.by_bucket()
        shifts = guard.of_buckets(step.conn, window, settings, buckets)
        checked = found.guard.with_buckets(shifts, guard.uncompared(step.conn, window, settings))
        if checked.caveat:
            log.warning("The guard has %s.", checked.caveat)
        odd = odd_customers.find(step.conn, window, settings, counted)
        step.save(
            status=CampaignStatus.BUCKETED,
            resolved={name: one.to_json() for name, one in resolved.items()},
            buckets=buckets,
            distribution=counted.to_json(),
            guard=checked.to_json(),
            odd=odd.to_json(),
        )
        return BucketSummary(buckets, guard=checked.note, warnings=checked.caveat, shares=shares.in_words(settings))


def assignment(rows: sa.FromClause, window: Window, settings: Settings) -> sa.Select[tuple[object, ...]]:
    """The rows of ``customer_bucket`` for the window's activity, with its columns in order.

    The settings have all numbers.
    """
    return sa.select(
        rows.c.window_start,
        rows.c.customer_id,
        sa.cast(sql.segment(settings.rules, rows, window.end), sa.Text).label("bucket"),
        rows.c.total_spend_cents,
        rows.c.avg_weekly_sessions,
    )
