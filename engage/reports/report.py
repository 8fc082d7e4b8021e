"""A campaign's report: status, counts, settings, timings and guard findings, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import campaign, status
from engage.campaigns.campaign import Campaign
from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.status import Status
from engage.currency import currency
from engage.errors import NotReady
from engage.reports import lift, share_facts
from engage.reports.campaign_list import amount, in_order
from engage.reports.lift import CampaignLift
from engage.sending import ledger
from engage.statuses import MessageStatus, RejectReason
from engage.window import Window

SHOWN = 20
"""Most messages of unknown outcome in a report; ``messages --status unknown`` lists all."""
STEPS = ("extract", "aggregate", "bucket", "queue", "send")


@dataclass(frozen=True)
class Report:
    """One campaign, ready for JSON. Times are ISO 8601 in UTC; ``timings`` are seconds by step.

    Where nothing was computed, ``customers`` is None and ``buckets`` is empty. Without a ledger ``counts`` is None, and
    ``messages`` has none. ``cost`` is an amount as text, of the segments that the provider accepted; None without a
    price or a message.
    """

    window: dict[str, Any]
    status: Status
    customers: int | None
    events: dict[str, int]
    rejected: dict[str, int]
    buckets: dict[str, int]
    messages: dict[str, Any]
    cost: str | None
    currency: str
    settings: dict[str, Any]
    resolved: dict[str, Any]
    """The numbers that shares of the customers in settings became; empty without any, or until they are known."""
    timings: dict[str, float]
    guard: dict[str, Any]
    pulled: dict[str, Any] | None
    """What ``extract`` pulled from the source of events; None without a source."""
    lift: CampaignLift | None
    """What the texts did; None if it was not asked for."""
    counts: MessageCounts | None = field(repr=False)
    """The messages, counted in more detail than in JSON."""
    record: Campaign = field(repr=False)
    """The campaign itself, with times and numbers that JSON holds as sentences."""

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _NOT_IN_JSON}
        return found | {"status": asdict(self.status), "lift": self.lift and self.lift.to_dict()}


_NOT_IN_JSON = ("counts", "record")


def report(engine: sa.Engine, window: Window | None = None) -> Report:
    """The report on the campaign of ``window``, or on the latest campaign.

    Raises:
        NotReady: the campaign does not exist.
    """
    with engine.begin() as conn:
        window = window or campaign.latest(conn)
        if window is None:
            raise NotReady("There is no campaign yet: trigger a run of the DAG first, or use `engage run`.")
        return of(conn, window)


def of(conn: sa.Connection, window: Window, *, whole: bool = True) -> Report:
    """The report on the campaign of ``window``. Unless ``whole``, it lists no message of unknown outcome and no lift.

    Raises:
        NotReady: the campaign does not exist.
    """
    found = campaign.find(conn, window)
    if found is None:
        raise NotReady(f"There is no campaign for the window {window}.")
    [counts] = status.counts_of(conn, [found])
    entries = []
    if whole and counts.count(status=MessageStatus.UNKNOWN):
        entries = ledger.entries(conn, window, status=MessageStatus.UNKNOWN, limit=SHOWN)
    kept = counts if found.has_ledger else None
    return Report(
        window={
            "start": formats.iso(window.start),
            "end": formats.iso(window.end),
            "status": found.status,
            "run_id": found.run_id,
            "frozen_at": found.frozen_at and formats.iso(found.frozen_at),
            "approval": found.approval.sentence or None,
            "halted": found.halted_at and f"{formats.iso(found.halted_at)} by {found.halted_by}: {found.halted_why}",
        },
        status=status.of(found, counts),
        customers=found.customers,
        events=found.events,
        rejected={reason: found.rejected.get(reason, 0) for reason in RejectReason},
        buckets=in_order(found),
        messages=counts.to_dict() | {"unknown": [_line(entry) for entry in entries]},
        cost=amount(found.cost(counts)),
        currency=currency(),
        settings=found.settings.snapshot() if found.settings else {},
        resolved=share_facts.to_json(found.settings) if found.settings else {},
        timings={name: found.timings[name] for name in STEPS if name in found.timings},
        guard={
            "findings": [finding.sentence for finding in found.guard.findings],
            "ignored_by": found.guard.ignored_by,
        },
        pulled=found.pulled.to_json() if found.pulled else None,
        lift=lift.of(conn, found, kept) if whole else None,
        counts=kept,
        record=found,
    )


def _line(entry: ledger.Entry) -> dict[str, Any]:
    return {
        "customer_id": entry.customer_id,
        "phone": entry.phone,
        "sending_at": formats.iso(entry.times["sending"]),
        "error": entry.error,
    }
