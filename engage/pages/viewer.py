"""The user who looks at a page, what that user may do, and what Airflow says around the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engage.airflow_names import run_path
from engage.campaigns.run_options import CLI_RUN_ID


@dataclass(frozen=True)
class NextRun:
    """The next run that Airflow will start by itself."""

    at: datetime | None
    """None: Airflow plans none."""
    as_of: datetime
    paused: bool = False
    """A paused DAG starts no run by itself."""

    @property
    def away(self) -> timedelta | None:
        """How long it is until then; zero for a run that is due."""
        return None if self.at is None else max(self.at - self.as_of, timedelta(0))


@dataclass(frozen=True)
class Viewer:
    """The user's permissions, the path of Airflow in their browser, and the next run."""

    airflow: str = ""
    """The path before those of Airflow's own pages."""
    may_change_runs: bool = False
    may_trigger: bool = False
    may_answer: bool = False
    """Whether the user may answer questions of the DAG's tasks, such as the approval of a list."""
    may_set_segments: bool = False
    """Whether the user may set the Variables of segments, thresholds and texts."""
    may_edit_connection: bool = False
    """Whether the user may edit the database's connection, and so read full phone numbers and forget a customer."""
    next_run: NextRun | None = None
    """None where it is not known, such as on an error page."""

    @property
    def may_send_test(self) -> bool:
        """Whether the user may send a text to a phone of the staff: it starts a run, with a text of the user's."""
        return self.may_set_segments and self.may_trigger

    @property
    def may_ask_model(self) -> bool:
        """Whether the user may ask a model for texts: it starts a run, and its texts may become the user's."""
        return self.may_send_test

    def run(self, run_id: str | None) -> str | None:
        """The address of a campaign's DAG run, or None if it was computed without Airflow."""
        return self.airflow + run_path(run_id) if run_id and run_id != CLI_RUN_ID else None
