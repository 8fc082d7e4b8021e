"""The 8-week schedule: ``engage.window`` as an Airflow timetable.

Airflow knows a run by its logical date, of which a DAG can have one run only. A backfill's run has the start of its
window, and a user may type that date too. So a scheduled run has a date of its own, a microsecond after its window's
start: no other run can take its place. See "Which window a run is about" in docs/operations.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from pendulum import DateTime, instance

from engage.window import WEEKS, Window, as_utc

if TYPE_CHECKING:
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun

TICK = timedelta(microseconds=1)


class ScheduledRunInfo(DagRunInfo):
    """A scheduled run to come. Its data interval is the window; its logical date lies just after the window's start."""

    own_date: DateTime

    @property
    def logical_date(self) -> DateTime:
        return self.own_date

    @classmethod
    def about(cls, window: Window, *, run_after: datetime, after: datetime) -> ScheduledRunInfo:
        """The run about ``window`` with the first logical date that lies after ``after`` and the window's start."""
        info = cls(run_after=instance(run_after), data_interval=_interval(window))
        info.own_date = instance(max(window.start, as_utc(after)) + TICK)
        return info


class EngageTimetable(Timetable):
    """One run per window, a ``grace`` period after its end, so that late events can arrive.

    With catch-up off, every call skips to the last complete window, also after a long pause. A manual run covers the
    last window that is complete at its logical date. A backfill does not wait for the grace.
    """

    def __init__(self, grace: timedelta = timedelta(hours=12)) -> None:
        self.grace = grace
        hours = grace / timedelta(hours=1)
        self.description = f"Every {WEEKS} weeks, {hours:g} hours after the window ends"

    @property
    def summary(self) -> str:
        return f"every {WEEKS} weeks"

    def serialize(self) -> dict[str, Any]:
        return {"grace": self.grace.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> EngageTimetable:
        return cls(grace=timedelta(seconds=data["grace"]))

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """Raises:
        WindowError: no window is complete yet. It is a ValueError, which Airflow's API answers with 400 and its text.
        """
        return _interval(Window.last_complete(run_after))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next run, for the scheduler; with ``restriction.catchup``, as the DAG has none, for a backfill."""
        last = last_automated_data_interval
        candidates = []
        if last is not None:
            candidates.append(Window.containing(last.end))
        if restriction.earliest is not None:
            candidates.append(_first_from(restriction.earliest))
        if not restriction.catchup:
            candidates.append(Window.containing(datetime.now(UTC)).previous())
        if not candidates:
            return None
        window = max(candidates)
        if restriction.latest is not None and window.start > restriction.latest:
            return None
        if restriction.catchup:  # at once: a backfill must not start together with the window's own run
            return DagRunInfo(run_after=instance(window.end), data_interval=_interval(window))
        run_after = window.end + self.grace
        return ScheduledRunInfo.about(window, run_after=run_after, after=last.end if last else window.start)

    def run_info_from_dag_run(self, *, dag_run: DagRun) -> DagRunInfo:
        """What the scheduler counts from: the newest scheduled or backfill run, or one that has the next run's date.

        Only a scheduled run counts for its window. After any other run the window's scheduled run is still to come, at
        the first moment after that run's date. A backfill changes the type of a run that it takes over, but not its id.
        """
        date = dag_run.logical_date
        if date is None or dag_run.run_type == "scheduled" or dag_run.run_id.startswith("scheduled__"):
            return super().run_info_from_dag_run(dag_run=dag_run)
        start = Window.containing(date).previous().start
        interval = DataInterval(start=instance(start), end=instance(as_utc(date)))
        return DagRunInfo(run_after=instance(as_utc(dag_run.run_after)), data_interval=interval)

    def next_run_info_from_dag_model(self, *, dag_model: DagModel) -> DagRunInfo | None:
        """The scheduled run that Airflow's database has noted as the next one, with its own date."""
        info, date = super().next_run_info_from_dag_model(dag_model=dag_model), dag_model.next_dagrun
        if info is None or info.data_interval is None or date is None:
            return info
        window = Window.containing(info.data_interval.start)
        return ScheduledRunInfo.about(window, run_after=info.run_after, after=date - TICK)


def _first_from(moment: datetime) -> Window:
    """The first window that starts at ``moment`` or later."""
    window = Window.containing(moment)
    return window if window.start == moment else window.next()


def _interval(window: Window) -> DataInterval:
    return DataInterval(start=instance(window.start), end=instance(window.end))
