"""The local stack's executor: the scheduler rests while there is nothing to do, and still starts work at once.

Airflow's scheduler looks for work in a loop of a dozen queries. Ten loops a second cost an eighth of a core around the
clock, and one loop a second starts each task late. Each loop calls the executor's ``sync``, so that can wait.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
import sqlalchemy as sa
from airflow.configuration import conf
from airflow.executors.local_executor import LocalExecutor
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy.dialects import postgresql

LOOK_SECONDS = 0.1
"""Between two looks for new work while there is some, each of which is one small query."""
IDLE_LOOK_SECONDS = 0.2
"""The same while nothing runs."""
RESULT_SECONDS = 0.02
"""Between two looks whether a running task has ended, which cost next to nothing."""
REST_SECONDS = 5.0
"""The longest rest: how late a scheduled run, a retry or a reschedule may start."""
BUSY_SECONDS = 3.0
"""How long the scheduler does not rest after work has come or a task has ended, because more work follows."""

_waiting = sa.union_all(
    sa.select(sa.cast(DagRun.id, sa.Text)).where(DagRun.state == DagRunState.QUEUED),
    sa.select(sa.cast(TaskInstance.id, sa.Text)).where(TaskInstance.state == TaskInstanceState.SCHEDULED),
)
WAITING = str(_waiting.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})).encode()
"""The ids of triggered and cleared runs, and of tasks that may start, such as one whose question was answered.

It goes straight to the driver, because SQLAlchemy takes twice as long as the query.
"""


class RestingLocalExecutor(LocalExecutor):
    """Airflow's LocalExecutor, and a scheduler that rests while there is nothing to do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._database: psycopg.Connection | None = None
        self._waiting: set[str] = set()
        self._busy_until = 0.0

    def sync(self) -> None:
        """Rest until there is something to do, then take the results of tasks."""
        self._rest()
        super().sync()

    def _rest(self) -> None:
        begun = time.monotonic()
        while not self._ended_within(self._look_seconds()) and not self._work_has_come():
            now = time.monotonic()
            if now < self._busy_until or now - begun > REST_SECONDS:
                return
        self._busy_until = time.monotonic() + BUSY_SECONDS

    def _look_seconds(self) -> float:
        return LOOK_SECONDS if time.monotonic() < self._busy_until else IDLE_LOOK_SECONDS

    def _ended_within(self, seconds: float) -> bool:
        """Wait until a task ends, at most so long."""
        end = time.monotonic() + seconds
        while self.result_queue.empty():
            if time.monotonic() >= end:
                return False
            time.sleep(RESULT_SECONDS if self.running else seconds)
        return True

    def _work_has_come(self) -> bool:
        before = self._waiting
        try:
            self._database = self._database or _connect()
            self._waiting = {row[0] for row in self._database.execute(WAITING)}
        except psycopg.Error:
            self._database = None
            return False  # the scheduler's own queries are about to fail, and say so
        return not self._waiting <= before

    def get_task_log(self, ti: TaskInstance, try_number: int) -> tuple[list[str], list[str]]:
        """Name a source of the log of a running task, because Airflow asks a log server otherwise, and there is none.

        The log itself is a file that Airflow reads in any case.
        """
        return ["The task runs on this machine."], []


def _connect() -> psycopg.Connection:
    url = sa.make_url(conf.get("database", "sql_alchemy_conn")).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
