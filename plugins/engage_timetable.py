"""The 8-week schedule: ``engage.window`` as an Airflow timetable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from pendulum import DateTime, instance

from engage.window import WEEKS, Window


class EngageTimetable(Timetable):
    """One run per window, a ``grace`` period after its end, so that late events can arrive.

    With catch-up off, every call skips to the last complete window, also after a long pause. A manual run covers the
    last window that is complete at its logical date.
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
        candidates = []
        if last_automated_data_interval is not None:
            candidates.append(Window.containing(last_automated_data_interval.end))
        if restriction.earliest is not None:
            candidates.append(_first_from(restriction.earliest))
        if not restriction.catchup:
            candidates.append(Window.containing(datetime.now(UTC)).previous())
        if not candidates:
            return None
        window = max(candidates)
        if restriction.latest is not None and window.start > restriction.latest:
            return None
        return DagRunInfo(run_after=instance(window.end + self.grace), data_interval=_interval(window))


def _first_from(moment: datetime) -> Window:
    """The first window that starts at ``moment`` or later."""
    window = Window.containing(moment)
    return window if window.start == moment else window.next()


def _interval(window: Window) -> DataInterval:
    return DataInterval(start=instance(window.start), end=instance(window.end))
