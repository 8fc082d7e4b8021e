"""The campaign record: one row per window, and the gate that every step goes through.

A campaign is open until its first message is claimed, or an approval is requested; then it is frozen. A step that runs
again replaces its output while the campaign is open, and changes nothing once it is frozen: what customers were texted,
and why, stays explainable. A campaign is also frozen when its window's events are dropped, as it could no longer be
computed. A step holds the row's lock while it writes, so two runs of one window take turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from engage.campaigns import budget_cuts, explained_days, message_counts, refunds
from engage.campaigns.approval import Approval, Asking
from engage.campaigns.budget_cuts import BudgetCut
from engage.campaigns.guard import Guard
from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.pulled import Pulled
from engage.campaigns.variants import TextWeights
from engage.errors import NothingToHalt, NotReady
from engage.settings import Settings
from engage.statuses import ApprovalState, CampaignStatus, RunMode
from engage.storage import connection, partitions
from engage.storage.schema import campaign
from engage.window import Window

ITSELF = "Engage itself"
"""The name in ``halted_by`` of a campaign that its own sender halted."""
_READ = [column for column in campaign.c if column.name != "distribution"]
"""The columns of the record. The distribution is large, and only charts show it: see ``campaigns.distribution``."""
_WITH_LEDGER = (CampaignStatus.QUEUED, CampaignStatus.SENDING, CampaignStatus.COMPLETE)


@dataclass(frozen=True)
class Campaign:
    """A campaign row at the time it was read."""

    window: Window
    run_id: str | None
    status: CampaignStatus
    mode: RunMode | None
    """What the run that computed it may do with its messages; None if an earlier version ran it."""
    settings: Settings | None
    """With the numbers that shares of the customers became, once ``bucket`` has found them."""
    events: dict[str, int]
    rejected: dict[str, int]
    customers: int | None
    buckets: dict[str, int] | None
    timings: dict[str, float]
    opened_at: datetime
    frozen_at: datetime | None
    finished_at: datetime | None
    halted_at: datetime | None
    halted_by: str | None
    halted_why: str | None
    resumed_at: datetime | None
    resume_at: datetime | None
    """When its sender goes on with messages that have to wait for sending hours, or for the provider."""
    sender_token: int
    guard: Guard
    approval: Approval
    pulled: Pulled | None = None
    """What ``extract`` pulled from the source of events; None without a source."""
    budget_cuts: Mapping[str, BudgetCut] = field(default_factory=dict)
    """Where the budget cut its list, by segment; empty if the list was within it."""
    variants: dict[str, TextWeights] | None = None
    """How the texts are drawn, by segment with several; None until the queue is made."""
    triggered_by: str | None = None
    """The user who triggered its last run; None for the scheduler, or if an earlier version ran it."""
    settings_at: datetime | None = None
    """When its run read the settings; None if an earlier version ran it."""
    model_id: int | None = None
    """The training of the return score by which its customers are scored; None if they are not."""

    @property
    def frozen(self) -> bool:
        """Whether the steps may no longer change it."""
        return self.frozen_at is not None

    @property
    def has_ledger(self) -> bool:
        """Whether its messages were made from its buckets. Those of an earlier queue do not count."""
        return self.status in _WITH_LEDGER

    @property
    def may_text(self) -> bool:
        """Whether the run that computes it may send messages."""
        return self.mode in {RunMode.TEXT, None}

    def cost(self, counts: MessageCounts) -> Decimal | None:
        """What the provider charges for the messages that it has accepted; None without a price or a message."""
        return self.settings.cost(counts.charged_segments) if self.settings and counts.charged_segments else None

    def require_settings(self) -> Settings:
        """The settings that ``extract`` took for it.

        Raises:
            NotReady: ``extract`` has not run.
        """
        if self.settings is None:
            raise _not_found(self.window)
        return self.settings


class Step:
    """A running step: its transaction, its campaign, and the columns to write at its end."""

    def __init__(self, conn: sa.Connection, found: Campaign) -> None:
        self.conn = conn
        self.campaign = found
        self._values: dict[str, Any] = {}

    @property
    def window(self) -> Window:
        """The campaign's window."""
        return self.campaign.window

    @property
    def settings(self) -> Settings:
        """The campaign's settings.

        Raises:
            NotReady: ``extract`` has not run.
        """
        return self.campaign.require_settings()

    def save(self, **values: Any) -> None:
        """Set columns of the campaign row; they are written when the step ends."""
        self._values |= values


@contextmanager
def step(engine: sa.Engine, window: Window, name: str) -> Iterator[Step]:
    """Run a step of a campaign in one transaction, with the campaign locked.

    Raises:
        NotReady: ``extract`` has not opened the campaign.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        yield from _timed(Step(conn, locked(conn, window)), name)


@contextmanager
def opening(engine: sa.Engine, window: Window, name: str, as_of: datetime) -> Iterator[Step]:
    """Run ``extract``, as ``step`` runs the others. A missing row is made, and kept only if the step succeeds."""
    blank = {"window_end": window.end, "status": CampaignStatus.EXTRACTED, "settings": {}, "events": {}, "rejected": {}}
    with engine.begin() as conn:
        connection.tune(conn)
        partitions.wait_for_seeds(conn)  # a campaign counts the events of before a seed or of after it, never a mixture
        conn.execute(
            insert(campaign)
            .values(window_start=window.start, opened_at=as_of, **blank)
            .on_conflict_do_nothing(index_elements=[campaign.c.window_start])
        )
        found = find(conn, window, lock=True)
        assert found is not None
        yield from _timed(Step(conn, found), name)


def _timed(active: Step, name: str) -> Iterator[Step]:
    started = perf_counter()
    yield active
    if not active.campaign.frozen:
        timings = active.campaign.timings | {name: round(perf_counter() - started, 3)}
        update(active.conn, active.campaign.window, timings=timings, **active._values)


def find(conn: sa.Connection, window: Window, *, lock: bool = False) -> Campaign | None:
    """The window's campaign, or None. With ``lock``, every other step waits until the commit."""
    query = sa.select(*_READ).where(campaign.c.window_start == window.start)
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    return _campaign(conn, row) if row else None


def find_all(
    conn: sa.Connection,
    windows: Collection[Window] | None = None,
    *,
    before: Window | None = None,
    limit: int | None = None,
) -> list[Campaign]:
    """Campaigns, newest first: the latest ``limit`` of all, of these windows, or of those before ``before``."""
    query = sa.select(*_READ).order_by(campaign.c.window_start.desc()).limit(limit)
    if windows is not None:
        query = query.where(campaign.c.window_start.in_([window.start for window in windows]))
    if before is not None:
        query = query.where(campaign.c.window_start < before.start)
    return [_campaign(conn, row) for row in conn.execute(query).all()]


def _campaign(conn: sa.Connection, row: sa.Row[Any]) -> Campaign:
    window = Window(row.window_start)
    settings = Settings.from_snapshot(row.settings, row.resolved) if row.settings else None
    return Campaign(
        window=window,
        run_id=row.run_id,
        triggered_by=row.triggered_by,
        status=CampaignStatus(row.status),
        mode=RunMode(row.mode) if row.mode else None,
        settings=settings,
        settings_at=row.settings_at,
        # sessions and purchases first: jsonb sorts its keys by length
        events=dict(sorted(row.events.items(), key=lambda kind_and_count: kind_and_count[0] == refunds.KIND)),
        rejected=row.rejected,
        customers=row.customers,
        buckets=row.buckets,
        timings=row.timings,
        opened_at=row.opened_at,
        frozen_at=row.frozen_at,
        finished_at=row.finished_at,
        halted_at=row.halted_at,
        halted_by=row.halted_by,
        halted_why=row.halted_why,
        resumed_at=row.resumed_at,
        resume_at=row.resume_at,
        sender_token=row.sender_token,
        guard=_guard(conn, window, row.guard),
        approval=Approval(
            window,
            frozen_at=row.frozen_at,
            required=settings is not None and settings.require_approval,
            above=settings.approval_above if settings else 0,
            state=ApprovalState(row.approval) if row.approval else None,
            at=row.approval_at,
            by=row.approval_by,
            reason=row.approval_reason,
            checked=row.approval_checked,
            asked={run_id: Asking.from_json(kept) for run_id, kept in row.asked.items()},
        ),
        pulled=Pulled.from_json(row.pulled),
        budget_cuts=budget_cuts.read(row.budget_cut),
        model_id=row.model_id,
        variants=None if row.variants is None else {k: TextWeights.from_json(kept) for k, kept in row.variants.items()},
    )


def _guard(conn: sa.Connection, window: Window, kept: dict[str, Any] | None) -> Guard:
    """The guard's findings, with the reasons that are known for days by now."""
    found = Guard.from_json(kept)
    if not any(one.days for one in found.found):
        return found
    return replace(found, reasons=explained_days.of_window(conn, window))


def locked(conn: sa.Connection, window: Window) -> Campaign:
    """The window's campaign, locked until the commit.

    Raises:
        NotReady: there is no such campaign.
    """
    found = find(conn, window, lock=True)
    if found is None:
        raise _not_found(window)
    return found


def settings_of_results(conn: sa.Connection, window: Window) -> dict[str, Any] | None:
    """The settings by which the window's customers are in segments, as kept; None if they are in none."""
    query = sa.select(campaign.c.settings).where(campaign.c.window_start == window.start, has_buckets())
    found: dict[str, Any] | None = conn.execute(query).scalar_one_or_none()
    return found


def hold_results(conn: sa.Connection, window: Window) -> None:
    """Wait for a step of the window's campaign, if one is at work, and keep further steps out until the commit.

    The results of a frozen campaign cannot change, so its row stays free.
    """
    open_one = sa.and_(campaign.c.window_start == window.start, campaign.c.frozen_at.is_(None))
    conn.execute(sa.select(campaign.c.window_start).where(open_one).with_for_update(read=True))


def latest(conn: sa.Connection) -> Window | None:
    """The latest window that has a campaign."""
    start = conn.execute(sa.select(sa.func.max(campaign.c.window_start))).scalar_one()
    return Window(start) if start else None


def has_buckets() -> sa.ColumnElement[bool]:
    """The condition that a campaign's customers are in buckets, by its present settings."""
    return sa.and_(campaign.c.buckets.is_not(None), campaign.c.buckets != JSONB.NULL)


def latest_windows(
    conn: sa.Connection, *, before: Window | None = None, bucketed: bool = False, limit: int
) -> list[Window]:
    """Windows that have a campaign, newest first: the latest ``limit`` of all, or of those before ``before``.

    With ``bucketed``, only windows whose customers are in buckets.
    """
    query = sa.select(campaign.c.window_start).order_by(campaign.c.window_start.desc()).limit(limit)
    if bucketed:
        query = query.where(has_buckets())
    if before is not None:
        query = query.where(campaign.c.window_start < before.start)
    return [Window(start) for start in conn.execute(query).scalars()]


def update(conn: sa.Connection, window: Window, **values: Any) -> None:
    """Write columns of the window's campaign."""
    conn.execute(sa.update(campaign).where(campaign.c.window_start == window.start).values(**values))


def close(conn: sa.Connection, window: Window, as_of: datetime) -> None:
    """Freeze a complete campaign for good. Only one that sent no message can still be open."""
    columns = (campaign.c.frozen_at, campaign.c.finished_at)
    update(conn, window, **{column.name: sa.func.coalesce(column, as_of) for column in columns})


def halt(conn: sa.Connection, window: Window, *, by: str, why: str, as_of: datetime) -> bool:
    """Halt the campaign: no message of it is claimed any more. Returns False if it was halted before.

    Engage itself judges a sender's last messages too, so it may halt a campaign of which none is left.

    Raises:
        NotReady: there is no such campaign.
        NothingToHalt: it is finished.
    """
    found = locked(conn, window)
    if found.halted_at is not None:
        return False
    if by != ITSELF and not _may_go_out(conn, found):
        raise NothingToHalt(
            f"The campaign of the window {window} is finished, and cannot be halted: none of its messages waits or is "
            "on its way. A halt takes a campaign that is being computed or sent; `engage campaigns` lists them."
        )
    update(conn, window, halted_at=as_of, halted_by=by, halted_why=why)
    return True


def _may_go_out(conn: sa.Connection, found: Campaign) -> bool:
    """Whether a message of the campaign may go out later: one that waits, or that its run has yet to queue."""
    return message_counts.of(conn, found.window).unsettled > 0 if found.has_ledger else found.may_text


def resume(conn: sa.Connection, window: Window, *, as_of: datetime) -> None:
    """Resume a halted campaign; its queued messages go out when ``message`` runs again.

    Raises:
        NotReady: there is no such campaign.
    """
    if locked(conn, window).halted_at is not None:
        update(conn, window, halted_at=None, halted_by=None, halted_why=None, resumed_at=as_of)


def _not_found(window: Window) -> NotReady:
    return NotReady(f"There is no campaign for the window {window} yet: run its extract step first.")
