"""A late window is not texted: its customers would get a message about weeks that are long over."""

from __future__ import annotations

from datetime import datetime, timedelta

from engage.errors import TooLate
from engage.settings import Settings
from engage.window import Window


def is_late(window: Window, settings: Settings, as_of: datetime) -> bool:
    """Whether the window ended more than ``send_within_days`` before ``as_of``."""
    return as_of - window.end > timedelta(days=settings.send_within_days)


def note(window: Window) -> str:
    """Why a run about a late window sends nothing, and what the operator can do."""
    return (
        f"The window ended {window.end:%Y-%m-%d}, too long ago to text customers now. To send all the same, "
        "trigger a run of this window with send_late."
    )


def refuse_to_leave(window: Window, waiting: int, days: int) -> None:
    """Fail a run that leaves messages waiting, as no later run would send them by itself."""
    if waiting:
        raise TooLate(
            f"{waiting} {'message' if waiting == 1 else 'messages'} of the window {window} still "
            f"{'waits' if waiting == 1 else 'wait'} to be sent, but the window ended longer ago than "
            f"engage_send_within_days ({days}) allows. This run has sent none. To send them, trigger a run of this "
            "window with send_late."
        )
