"""Step 2: open the window's campaign, take the settings' snapshot, and count what the log holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage import campaign, events, partitions
from engage.errors import NoCustomers, NoValidEvents
from engage.schema import customer
from engage.settings import Settings
from engage.window import Window


@dataclass(frozen=True)
class ExtractSummary:
    """Valid events by kind and rejected ones by reason; ``frozen`` when they are those of an earlier run."""

    events: dict[str, int]
    rejected: dict[str, int]
    frozen: bool = False


def extract(engine: sa.Engine, window: Window, settings: Settings, *, as_of: datetime, run_id: str) -> ExtractSummary:
    """Open the campaign, or open it anew while nobody has been texted.

    Raises:
        WindowError: the window has not ended by ``as_of``.
        NoCustomers: there are none at all.
        NoValidEvents: there are customers, but nothing of the window counts.
    """
    window.require_complete(as_of)
    _require_customers(engine)
    partitions.ensure_windows(engine, [window])
    with campaign.opening(engine, window, "extract", as_of) as step:
        if step.campaign.frozen:
            return ExtractSummary(step.campaign.events, step.campaign.rejected, frozen=True)
        valid, rejected = events.count_window(step.conn, window)
        rejected = dict.fromkeys(events.REASONS, 0) | rejected | events.count_outside_windows(step.conn, as_of)
        if not any(valid.values()):
            raise NoValidEvents(_nothing_counts(window, rejected))
        step.save(
            status="extracted",
            run_id=run_id,
            settings=settings.snapshot(),
            events=valid,
            rejected=rejected,
            customers=None,
            buckets=None,
        )
        return ExtractSummary(valid, rejected)


def _require_customers(engine: sa.Engine) -> None:
    with engine.begin() as conn:
        if not conn.execute(sa.select(sa.select(customer.c.customer_id).exists())).scalar_one():
            raise NoCustomers(
                "There are no customers yet, so there is nothing to do. Customers come from the app, or, to try "
                "Engage out, from a run triggered with seed."
            )


def _nothing_counts(window: Window, rejected: dict[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items() if count) or "none"
    return (
        f"There are customers, but no valid event in the window {window} (rejected: {reasons}). Everybody would look "
        "inactive and be texted for it, so the run stops. Check that the app's events arrive, or name another window."
    )
