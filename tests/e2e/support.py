"""How the end-to-end tests drive Engage: Airflow's REST API, the database, and the command line with its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from engage.airflow_names import DAG_ID
from engage.local import demo
from engage.local.airflow_api import AirflowApi
from engage.local.home import CHECKOUT
from engage.local.stack import Stack
from engage.window import ANCHOR, LENGTH, Window
from tests.ports import free_port
from tests.waiting import PATIENCE, until

STOPS_WITHIN = 40
VIEWER, USER, OP, APPROVER = "vera", "uma", "olga", "ana"
"""The users of the roles viewer, user, op and user. A viewer looks; a user triggers, halts and answers; an op edits
Variables too."""


def past_window(number: int) -> Window:
    """A window that ended long ago: 0 is the first one of the grid."""
    return Window(ANCHOR + number * LENGTH)


@dataclass(frozen=True)
class Run:
    """A DAG run that has ended."""

    run_id: str
    run_type: str
    state: str
    interval: tuple[str | None, str | None]
    tasks: dict[str, dict[str, Any]]

    @property
    def states(self) -> dict[str, str]:
        return {name: self.tasks[name]["state"] for name in demo.TASKS}


class Airflow(AirflowApi):
    """Airflow as a client drives it from outside, over its REST API."""

    def token(self, user: str) -> str:
        """What a browser has as its cookie ``_token`` once the user has logged in."""
        login = {"username": user, "password": self.stack.password(user)}
        return str(self.http.post("/auth/token", json=login).raise_for_status().json()["access_token"])

    def start_run(self, *, logical_date: datetime | None = None, **conf: Any) -> str:
        body = {"logical_date": logical_date and logical_date.isoformat(), "conf": conf}
        return str(self.request("POST", f"dags/{DAG_ID}/dagRuns", json=body)["dag_run_id"])

    def run(self, *, logical_date: datetime | None = None, **conf: Any) -> Run:
        """Trigger a run and wait for its end."""
        return self.wait_for(self.start_run(logical_date=logical_date, **conf))

    def wait_for(self, run_id: str) -> Run:
        """Wait for the end of a run. No process of the stack may die meanwhile."""
        return until(lambda: self._ended(run_id), f"the run {run_id} ends")

    def _ended(self, run_id: str) -> Run | None:
        died = self.stack.keep_alive()
        assert not died, f"{died} died"
        return self.ended(run_id)

    def ended(self, run_id: str) -> Run | None:
        """The run, once it has ended."""
        found = self.request("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")
        if found["state"] not in demo.ENDED:
            return None
        interval = (found["data_interval_start"], found["data_interval_end"])
        return Run(run_id, found["run_type"], found["state"], interval, self.tasks(run_id))

    def runs(self, **query: Any) -> list[str]:
        """The ids of the DAG's runs, oldest window first."""
        answer = self.request("GET", f"dags/{DAG_ID}/dagRuns", params={"order_by": "logical_date", **query})
        return [run["dag_run_id"] for run in answer["dag_runs"]]

    def log(self, run_id: str, task_id: str, try_number: int = 1) -> str:
        """Everything that a task's log says, its errors included."""
        path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.request("GET", path, headers={"Accept": "application/json"})["content"]
        lines = [f"{event['event']} {event.get('reason', '')}" for event in content]
        details = [detail for event in content for detail in event.get("error_detail") or []]
        return "\n".join([*lines, *(f"{detail['exc_type']}: {detail['exc_value']}" for detail in details)])

    def backfill(self, first: Window, last: Window, *, reprocess: str = "none", **conf: Any) -> list[Run]:
        """Backfill the windows from ``first`` to ``last``, all at once, and wait for the end of their runs."""
        dates = {"from_date": first.start.isoformat(), "to_date": last.start.isoformat()}
        body = {"dag_id": DAG_ID, **dates, "dag_run_conf": conf, "reprocess_behavior": reprocess}
        backfill = self.request("POST", "backfills", json=body)
        query = {"logical_date_gte": dates["from_date"], "logical_date_lte": dates["to_date"]}
        runs = [self.wait_for(run_id) for run_id in self.runs(**query)]
        # Airflow looks for finished backfills every 30 s, and until then takes no other one; cancelling ends it now
        self.http.put(f"/api/v2/backfills/{backfill['id']}/cancel")
        return runs

    def clear(self, run_id: str, *task_ids: str) -> Run:
        """Clear tasks of a run, or all, and wait for its end."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
        which = {"task_ids": list(task_ids)} if task_ids else {}
        self.request("POST", f"dags/{DAG_ID}/clearTaskInstances", json=body | which)
        return self.wait_for(run_id)


def processor_seconds(stack: Stack) -> float:
    """What the stack's processes, and those that they have ended, have used of the processor."""
    roots = [psutil.Process(process.pid) for process in stack.processes.values()]
    if postgres := stack.postgres.server.running():
        roots.append(postgres)
    seconds = 0.0
    for process in [process for root in roots for process in [root, *root.children(recursive=True)]]:
        with suppress(psutil.NoSuchProcess):  # then its parent has its seconds
            seconds += sum(process.cpu_times()[:4])
    return seconds


class Campaigns:
    """Engage's database, as the tests read it."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query), values)]

    def value(self, query: str, **values: Any) -> Any:
        return self.rows(query, **values)[0][0]

    def of(self, window: Window) -> dict[str, Any] | None:
        """The window's campaign row."""
        with self.engine.connect() as conn:
            query = sa.text("SELECT * FROM campaign WHERE window_start = :start")
            row = conn.execute(query, {"start": window.start}).mappings().one_or_none()
        return dict(row) if row else None

    def messages(self, window: Window) -> dict[str, int]:
        """How many messages the window's ledger has by ``status`` or ``skipped/reason``."""
        query = """SELECT status || coalesce('/' || reason, '') AS fate, count(*)
                   FROM message WHERE window_start = :start GROUP BY fate"""
        return dict(self.rows(query, start=window.start))  # type: ignore[arg-type]

    def remove(self, window: Window) -> None:
        """Leave nothing of what other tests have made of the window, but for its events."""
        with self.engine.begin() as conn:
            for table in ("message", "customer_bucket", "customer_activity", "campaign"):
                conn.execute(sa.text(f"DELETE FROM {table} WHERE window_start = :start"), {"start": window.start})

    def everything_of(self, window: Window) -> dict[str, list[tuple[Any, ...]]]:
        """All rows that the window's campaign consists of, comparable with an earlier answer."""
        tables = ("campaign", "customer_activity", "customer_bucket", "message")
        return {
            table: sorted(self.rows(f"SELECT * FROM {table} WHERE window_start = :start", start=window.start), key=repr)
            for table in tables
        }


@dataclass
class CommandLine:
    """``engage`` in a folder and on a port of its own, and the processes that it starts."""

    home: Path
    port: int = field(default_factory=free_port)
    service_port: int = field(default_factory=free_port)
    shell: Mapping[str, str] = field(default_factory=dict)
    """Variables of the caller's shell, besides those of the tests."""
    umask: int = -1
    sessions: dict[int, float] = field(default_factory=dict)
    """Each session seen, by the number of its leader, with the time when that began: numbers are given out again."""
    others: set[tuple[int, float]] = field(default_factory=set)
    """Processes that are not of this folder, by number and time. It spares looking at all of the machine's anew."""

    @property
    def environment(self) -> dict[str, str]:
        mine = {"ENGAGE_HOME": str(self.home), "ENGAGE_PORT": str(self.port), "COLUMNS": "200", "NO_COLOR": "1"}
        mine |= {"ENGAGE_SERVICE_PORT": str(self.service_port)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
        return {**kept, **self.shell, **mine}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, and take note of what it starts."""
        deadline = time.monotonic() + 2 * PATIENCE
        with self.running(*arguments) as process:
            while True:
                try:
                    output, errors = process.communicate(timeout=1)
                    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)
                except subprocess.TimeoutExpired:
                    assert time.monotonic() < deadline, f"{arguments} did not end"
                    self.look()

    @contextmanager
    def running(self, *arguments: str, command: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
        """A command, by default ``engage``, as the leader of a session; it is over when the block is."""
        process = subprocess.Popen(
            [*(command or (sys.executable, "-m", "engage")), *arguments],
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            umask=self.umask,
            start_new_session=True,
        )
        self.sessions[process.pid] = psutil.Process(process.pid).create_time()
        with process:
            try:
                yield process
            finally:
                process.kill()  # nothing, if it is over

    def kill_everything(self) -> None:
        """So that not even a failed test leaves anything behind."""
        for process in self.look():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def look(self) -> list[psutil.Process]:
        """Take note of the sessions of everything that runs for this folder now, to find it again later."""
        found = self.processes()
        for process in found:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                leader = os.getsid(process.pid)
                if leader not in self.sessions:
                    self.sessions[leader] = psutil.Process(leader).create_time()
                    self.others.clear()  # one of them may be of this session
        return found

    def processes(self) -> list[psutil.Process]:
        """The living processes of this folder: they name it, work in it, are of a session that ``look`` saw, or
        descend from one of these."""
        found: dict[int, psutil.Process] = {}
        everything = psutil.process_iter(["create_time"])
        for process in sorted(everything, key=lambda process: process.info["create_time"]):  # parents before children
            identity = process.pid, process.info["create_time"]
            with suppress(psutil.Error, ProcessLookupError):
                if identity in self.others or not alive(process):
                    continue
                if process.ppid() in found or self._owns(process):
                    found[process.pid] = process
                else:
                    self.others.add(identity)
        return list(found.values())

    def _owns(self, process: psutil.Process) -> bool:
        leader = os.getsid(process.pid)
        if leader in self.sessions:
            with suppress(psutil.NoSuchProcess):
                return psutil.Process(leader).create_time() == self.sessions[leader]
            return True  # no number is given out again while its session lives
        with suppress(psutil.NoSuchProcess):  # a process without an environment, such as one of the kernel's
            names = [*process.cmdline(), process.cwd(), *process.environ().values()]
            return any(str(self.home) in name for name in names)
        return False

    def saw(self, *titles: str) -> bool:
        """Whether processes with these words in their command lines run for this folder."""
        lines = []
        for process in self.look():
            with suppress(psutil.Error):
                lines.append(" ".join(process.cmdline()))
        return all(any(title in line for line in lines) for title in titles)


def alive(process: psutil.Process) -> bool:
    """Whether the process runs; one that has ended but that nobody has reaped does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextmanager
def signals_kept() -> Iterator[None]:
    """Signal handlers as they were, whatever the block does to them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
