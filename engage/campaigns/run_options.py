"""The options of a run: what it may do with its messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engage.campaigns import lateness
from engage.settings import Settings
from engage.statuses import RunMode, SkipReason
from engage.window import Window

CLI_RUN_ID = "cli"
"""The run id of a campaign that ``engage run`` computed without Airflow."""


_MODES = {SkipReason.BACKFILL: RunMode.BACKFILL, SkipReason.TOO_LATE: RunMode.LATE}


@dataclass(frozen=True)
class RunOptions:
    """By default a run texts in time only, and stops for the guard. A backfill never texts, whatever else is set."""

    backfill: bool = False
    send_late: bool = False
    dry_run: bool = False
    ignore_guard: bool = False
    by: str | None = None
    """The user who triggered the run; None for the scheduler."""

    def skip_reason(self, window: Window, settings: Settings, as_of: datetime) -> SkipReason | None:
        """Why the run texts no customer, as a reason for the ledger; None if it may."""
        if self.backfill:
            return SkipReason.BACKFILL
        late = lateness.is_late(window, settings, as_of)
        return SkipReason.TOO_LATE if late and not self.send_late else None

    def mode(self, window: Window, settings: Settings, as_of: datetime) -> RunMode:
        """What the run may do with its messages."""
        if self.dry_run:
            return RunMode.DRY_RUN
        reason = self.skip_reason(window, settings, as_of)
        return _MODES[reason] if reason else RunMode.TEXT

    def may_text(self, window: Window, settings: Settings, as_of: datetime) -> bool:
        """Whether the run may send any message at all."""
        return self.mode(window, settings, as_of) is RunMode.TEXT
