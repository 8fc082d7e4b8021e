"""Airflow's runs, as the pages name them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engage.campaigns.run_options import CLI_RUN_ID


@dataclass(frozen=True)
class RunFacts:
    """What Airflow knows of a run that computed a campaign."""

    kind: str
    """Airflow's type of run, such as ``manual``, ``scheduled`` or ``backfill``."""
    user: str | None = None
    """The user who triggered it."""
    started_at: datetime | None = None
    conf: Mapping[str, Any] = field(default_factory=dict)
    """The parameters that it was triggered with."""

    @property
    def options(self) -> list[str]:
        """The switches that it was triggered with, such as *send late*."""
        return [name.replace("_", " ") for name, value in self.conf.items() if value is True]


Facts = Callable[[Collection[str | None]], Mapping[str, RunFacts]]
"""What Airflow knows of runs, by their ids. Unknown ones are left out."""


def words(run_id: str | None, facts: RunFacts | None) -> str:
    """How a campaign came to be computed, such as *run by ada*, in a few words."""
    if run_id == CLI_RUN_ID:
        return "command line"
    if facts is None:
        return ""
    if facts.user and facts.kind != "scheduled":
        return f"{'backfill' if facts.kind == 'backfill' else 'run'} by {facts.user}"
    return {"scheduled": "scheduled run", "backfill": "backfill"}.get(facts.kind, "run")
