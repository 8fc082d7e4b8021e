"""What a run may do with its messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engage.settings import Settings
from engage.window import Window


@dataclass(frozen=True)
class RunOptions:
    """Nobody is texted late, nor against the guard, unless a person's run says so, and by a backfill nobody at all."""

    backfill: bool = False
    send_late: bool = False
    dry_run: bool = False
    ignore_guard: bool = False
    by: str | None = None
    """Who triggered the run, if anybody did."""

    def skip_reason(self, window: Window, settings: Settings, as_of: datetime) -> str | None:
        """Why nobody may be texted, as a reason for the ledger; None when they may."""
        if self.backfill:
            return "backfill"
        late = as_of - window.end > timedelta(days=settings.send_within_days)
        return "too_late" if late and not self.send_late else None

    def may_text(self, window: Window, settings: Settings, as_of: datetime) -> bool:
        """Whether the run may text anybody at all."""
        return not self.dry_run and self.skip_reason(window, settings, as_of) is None
