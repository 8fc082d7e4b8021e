"""The executor that lets the scheduler rest, on a clock of the test's own and without a database."""

from __future__ import annotations

import psycopg
import pytest


class Clock:
    """Seconds pass only while the executor sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Database:
    """Answers with ids that wait from a moment on, or fails."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waiting: list[tuple[float, str]] = []
        self.broken = False
        self.looks = 0

    def execute(self, query: bytes) -> list[tuple[str]]:
        self.looks += 1
        if self.broken:
            raise psycopg.OperationalError
        return [(name,) for at, name in self.waiting if at <= self.clock.now]


@pytest.fixture
def clock(monkeypatch):
    import engage_executor

    clock = Clock()
    monkeypatch.setattr(engage_executor, "time", clock)
    return clock


@pytest.fixture
def database(monkeypatch, clock):
    import engage_executor

    database = Database(clock)
    monkeypatch.setattr(engage_executor, "_connect", lambda: database)
    return database


@pytest.fixture
def executor(database):
    """Started like the scheduler's, less its worker processes."""
    from engage_executor import RestingLocalExecutor

    executor = RestingLocalExecutor(parallelism=1)
    executor.is_mp_using_fork = False
    executor.start()
    yield executor
    executor.end()


def seconds_of_sync(executor, clock):
    begun = clock.now
    executor.sync()
    return round(clock.now - begun, 2)


def test_the_scheduler_rests_while_nothing_is_to_be_done(executor, clock, database):
    assert [seconds_of_sync(executor, clock) for _ in range(3)] == pytest.approx([5.1] * 3, abs=0.21)
    assert database.looks == pytest.approx(3 * 26, abs=4)


def test_a_run_or_a_task_that_waits_ends_the_rest_at_once(executor, clock, database):
    database.waiting = [(clock.now + 2, "7")]
    assert 2 <= seconds_of_sync(executor, clock) <= 2.2


def test_what_keeps_waiting_is_no_new_work(executor, clock, database):
    """Such as a run that is queued while another one waits for its approver for two days."""
    database.waiting = [(0, "7")]
    executor.sync()
    clock.now += 60
    assert seconds_of_sync(executor, clock) >= 4


def test_after_work_has_come_the_scheduler_looks_ten_times_a_second(executor, clock, database):
    database.waiting = [(clock.now + 1, "7")]
    executor.sync()
    assert [seconds_of_sync(executor, clock) for _ in range(20)] == pytest.approx([0.1] * 20)
    clock.now += 60
    assert seconds_of_sync(executor, clock) >= 4


def test_a_task_that_ends_ends_the_rest_at_once(executor, clock, monkeypatch):
    executor.running.add("a task")
    ended = clock.now + 1
    monkeypatch.setattr(executor.result_queue, "empty", lambda: clock.now < ended)
    monkeypatch.setattr(executor.result_queue, "get", lambda: pytest.fail("the parent class takes it"))
    monkeypatch.setattr(type(executor).__mro__[1], "sync", lambda self: None)
    assert 1 <= seconds_of_sync(executor, clock) < 1.03
    ended = clock.now + 3600
    assert seconds_of_sync(executor, clock) < 0.2  # more may follow


def test_a_database_that_is_away_is_left_to_the_scheduler_and_asked_again(executor, clock, database):
    database.broken = True
    assert seconds_of_sync(executor, clock) >= 4
    database.broken = False
    database.waiting = [(0, "7")]
    assert seconds_of_sync(executor, clock) < 0.3


def test_the_query_is_about_the_tables_and_states_of_this_airflow():
    from airflow.utils.state import DagRunState, TaskInstanceState
    from engage_executor import WAITING

    query = WAITING.decode()
    assert f"dag_run.state = '{DagRunState.QUEUED}'" in query
    assert f"task_instance.state = '{TaskInstanceState.SCHEDULED}'" in query
    assert ":" not in query.replace("::", "")
    assert "%" not in query


def test_a_running_tasks_log_names_a_source_so_that_no_log_server_is_asked(executor):
    assert executor.get_task_log(None, 1) == (["The task runs on this machine."], [])


def test_airflow_finds_the_executor_by_the_name_that_the_local_stack_gives_it():
    from importlib import import_module

    from engage_executor import RestingLocalExecutor

    from engage.local.environment import EXECUTOR

    module, _, name = EXECUTOR.rpartition(".")
    assert getattr(import_module(module), name) is RestingLocalExecutor
    assert RestingLocalExecutor.is_local
