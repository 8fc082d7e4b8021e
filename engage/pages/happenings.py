"""What happened, in words: one line of the page *Activity*, or of the history of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from engage.window import Window


class Kind(StrEnum):
    """What a happening is about: a filter of the page."""

    CAMPAIGNS = "campaigns"
    RUNS = "runs"
    SETTINGS = "settings"
    MESSAGES = "messages"
    CUSTOMERS = "customers"


@dataclass(frozen=True)
class Happening:
    """One thing that happened. ``did`` follows the user's name, or without one stands alone."""

    at: datetime
    kind: Kind
    tone: str
    did: str
    user: str | None = None
    why: str | None = None
    window: Window | None = None
    run_id: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings by name: ``set`` or ``reset``."""
    messages: bool = False
    """Whether the campaign has messages to look at."""
