"""The user who looks at a page, and what that user may do."""

from __future__ import annotations

from dataclasses import dataclass

from engage.airflow_names import run_path
from engage.campaigns.run_options import CLI_RUN_ID


@dataclass(frozen=True)
class Viewer:
    """The user's permissions, and the path of Airflow in their browser."""

    airflow: str = ""
    """The path before those of Airflow's own pages."""
    may_halt: bool = False
    may_trigger: bool = False
    may_set_thresholds: bool = False

    def run(self, run_id: str | None) -> str | None:
        """The address of a campaign's DAG run, or None if it was computed without Airflow."""
        return self.airflow + run_path(run_id) if run_id and run_id != CLI_RUN_ID else None
