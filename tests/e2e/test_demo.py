"""The command line's stack: a demonstration from nothing, the same again, and every way of stopping it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from engage.local import demo, embedded_postgres
from engage.local.home import Home
from engage.window import Window
from tests.e2e.support import STOPS_WITHIN, Campaigns, CommandLine
from tests.server_folder import server_folder
from tests.shells import ODD_SHELL
from tests.waiting import until

CUSTOMERS = 2000


@dataclass(frozen=True)
class Demonstration:
    """``engage demo`` without a terminal, and what there was when it was over."""

    command: CommandLine
    done: subprocess.CompletedProcess[str]
    left: list[psutil.Process]
    customers: list[tuple[Any, ...]]
    campaign: dict[str, list[tuple[Any, ...]]]
    messages: dict[str, int]
    runs: list[tuple[str, datetime, datetime]]
    """The type, the start and the end of each run of the DAG, in order."""


RUNS = "SELECT run_type, start_date, end_date FROM dag_run WHERE dag_id = 'customer_engagement' ORDER BY start_date"


def demonstrated(command: CommandLine) -> Demonstration:
    done = command.run("demo", "--customers", str(CUSTOMERS))
    left = command.processes()
    with embedded_postgres.engine(Home(command.home)) as engine:
        campaigns = Campaigns(engine)
        [(start,)] = campaigns.rows("SELECT window_start FROM campaign")
        customers = campaigns.rows("SELECT * FROM customer ORDER BY customer_id")
        window = Window(start)
        url = engine.url.set(database=embedded_postgres.AIRFLOW_DATABASE)
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as conn:
            runs = [(row[0], row[1], row[2]) for row in conn.exec_driver_sql(RUNS)]
        return Demonstration(
            command, done, left, customers, campaigns.everything_of(window), campaigns.messages(window), runs
        )


@pytest.fixture(scope="session")
def first() -> Iterator[Demonstration]:
    """The very first one, in an odd shell and below a folder that is closed to other users."""
    with server_folder("Übung 1/home") as home:
        home.parent.mkdir(mode=0o700)
        command = CommandLine(home, shell=ODD_SHELL, umask=0o077)
        yield demonstrated(command)
        command.kill_everything()


@pytest.fixture(scope="session")
def second(first: Demonstration) -> Demonstration:
    return demonstrated(replace(first.command, shell={}, umask=-1))


def test_a_demonstration_runs_a_campaign_and_prints_what_it_did(first: Demonstration) -> None:
    assert first.done.returncode == 0, first.done.stderr
    printed = first.done.stdout
    for bucket in ("BOOST", "REWARD", "NONE"):
        assert re.search(rf"{bucket}\W+[\d,]+\W+[\d.]+%", printed), printed
    assert re.search(r"all\W+2,000", printed)
    assert re.search(rf"accepted\W+{first.messages['accepted']}\b", printed)
    assert re.search(rf"skipped\W+opted_out\W+{first.messages['skipped/opted_out']}\b", printed)
    seconds = re.search(r"Seconds by task, as Airflow saw them: (.*)", printed)
    assert seconds is not None
    assert re.findall(r"(\w+) [\d.]+", seconds[1]) == list(demo.TASKS)


def test_a_demonstration_begins_when_the_schedulers_own_run_is_over(first: Demonstration) -> None:
    """At once, either of them might compute the window, and the other one would do nothing."""
    assert [kind for kind, *_ in first.runs] == ["scheduled", "manual"]
    [(_, _, ended), (_, began, _)] = first.runs
    assert ended <= began


def test_a_demonstration_says_what_it_starts_and_when_that_has_stopped(first: Demonstration) -> None:
    parts = "Airflow's api-server, scheduler, dag-processor, and the HTTP service"
    sentences = [
        "Starting Postgres ?",  # that shell has no …
        "Bringing the databases of Engage and Airflow up to date ?",
        f"Starting {parts} ?",
        "Ready after ",
        "Running a campaign with 2,000 synthetic customers ?",
        "The demonstration is over. `make up` serves its data, with this report among Airflow's pages.",
        f"Stopping {parts} ?",
        "Airflow and the HTTP service have stopped.",
        "Postgres has stopped.",
    ]
    places = [first.done.stdout.find(sentence) for sentence in sentences]
    assert -1 not in places, first.done.stdout
    assert places == sorted(places)


def test_a_demonstration_without_a_terminal_names_no_address_that_is_gone(first: Demonstration) -> None:
    home = Home(first.command.home, first.command.port, first.command.service_port)
    printed = first.done.stdout + first.done.stderr
    for gone in (home.url, home.service_url, "http://", home.secret("password")):
        assert gone not in printed


def test_a_demonstration_works_in_an_odd_shell_and_leaves_the_folder_above_closed(first: Demonstration) -> None:
    assert first.done.returncode == 0, first.done.stderr
    assert (first.command.shell, first.command.umask) == (ODD_SHELL, 0o077)
    assert stat.S_IMODE(first.command.home.parent.stat().st_mode) == 0o700
    printed = first.done.stdout + first.done.stderr
    assert "Starting Postgres ?" in printed  # that shell has no …
    logs = [file.read_text(errors="replace") for file in (first.command.home / "logs").glob("*.log")]
    assert [log for log in logs if "127.0.0.1:9/" in log or "/nonexistent" in log] == []


def test_a_demonstration_has_the_shares_of_the_script_that_engage_replaces(first: Demonstration) -> None:
    shares = {name: int(count) / CUSTOMERS for name, count in re.findall(r"(BOOST|REWARD)\W+(\d+)", first.done.stdout)}
    assert shares["BOOST"] == pytest.approx(0.098, abs=0.03)
    assert shares["REWARD"] == pytest.approx(0.413, abs=0.04)


def test_a_demonstration_without_a_terminal_leaves_no_process(first: Demonstration) -> None:
    assert len(first.command.sessions) > 4  # so it did see Airflow's
    assert first.left == []


@pytest.mark.deep
def test_a_demonstration_again_changes_nothing_and_texts_nobody_twice(
    first: Demonstration, second: Demonstration
) -> None:
    assert second.done.returncode == 0, second.done.stderr
    assert "changed nothing and sent nothing" in " ".join(second.done.stdout.split())
    assert second.customers == first.customers
    assert len(second.customers) == CUSTOMERS
    assert second.messages == first.messages
    assert second.messages["accepted"] > 0
    assert second.campaign["customer_bucket"] == first.campaign["customer_bucket"]
    assert second.campaign["message"] == first.campaign["message"]
    recipients = [row[:2] for row in second.campaign["message"]]
    assert len(recipients) == len(set(recipients))
    assert second.left == []


def test_the_report_as_json_has_the_documented_keys(first: Demonstration) -> None:
    done = first.command.run("report", "--json")
    report = json.loads(done.stdout)
    assert list(report) == [
        "window",
        "status",
        "customers",
        "events",
        "rejected",
        "buckets",
        "messages",
        "cost",
        "currency",
        "settings",
        "resolved",
        "timings",
        "guard",
        "pulled",
        "lift",
    ]
    assert (report["status"]["key"], report["status"]["label"]) == ("sent", "Sent")
    assert report["customers"] == sum(report["buckets"].values()) == CUSTOMERS
    assert report["messages"]["by_status"]["accepted"] == first.messages["accepted"]
    assert report["settings"]["low_spend_threshold"] == 100
    assert first.command.processes() == []


def test_a_port_in_use_is_a_sentence_that_names_the_way_out(engage: CommandLine) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        engage.port = other.getsockname()[1]
        done = engage.run("up")
    assert done.returncode == 1
    assert f"Port {engage.port} on 127.0.0.1 is in use" in done.stderr
    assert "ENGAGE_PORT=" in done.stderr
    assert "Traceback" not in done.stderr
    assert engage.processes() == []


def test_a_second_stack_in_one_folder_is_refused_with_the_process_that_has_it(engage: CommandLine) -> None:
    with engage.running("up") as process:
        until((engage.home / "lock").exists, "the first one starts")
        until((engage.home / "lock").read_text, "the first one says who it is")
        refused = engage.run("up")
        assert refused.returncode == 1
        assert f"Process {process.pid} is already using {engage.home}" in refused.stderr
        assert f"kill {process.pid}" in refused.stderr
        stop(engage, process, signal.SIGINT)


@pytest.mark.deep
def test_ctrl_c_while_airflow_starts_leaves_no_process(engage: CommandLine) -> None:
    with engage.running("demo") as process:
        until(lambda: engage.saw("api-server", "scheduler", "dag-processor", "postgres"), "Airflow's processes start")
        stop(engage, process, signal.SIGINT)


@pytest.mark.deep
def test_sigterm_to_make_demo_while_a_task_runs_leaves_no_process(engage: CommandLine) -> None:
    make = ("make", "-o", "install", f"RUN={sys.executable} -m", "demo", f"CUSTOMERS={CUSTOMERS}")
    with engage.running(command=make) as process:
        until(lambda: engage.saw("LocalExecutor: 0"), "a task runs")  # a worker's title has the id of its task
        stop(engage, process, signal.SIGTERM)


@pytest.mark.deep
def test_what_kill_9_leaves_is_removed_by_clean(engage: CommandLine) -> None:
    with engage.running("up") as process:
        until(lambda: engage.saw("api-server", "scheduler", "dag-processor", "postgres"), "Airflow's processes start")
        process.kill()
    assert len(engage.processes()) > 3  # Airflow's and Postgres's, without their owner
    refused = engage.run("clean")
    assert refused.returncode == 1
    assert "say `engage clean --yes`" in refused.stderr
    done = engage.run("clean", "--yes")
    assert done.returncode == 0, done.stderr
    assert engage.processes() == []
    assert not engage.home.exists()


@pytest.mark.deep
def test_everything_killed_at_once_starts_again(engage: CommandLine) -> None:
    with engage.running("up"):
        until(lambda: engage.saw("db migrate"), "Postgres is up and Airflow migrates")
        for process in engage.look():
            process.kill()
    done = engage.run("db", "upgrade")
    assert done.returncode == 0, done.stderr
    assert engage.processes() == []


def stop(engage: CommandLine, process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Ctrl-C goes to the whole process group, as from a terminal; SIGTERM to the process alone."""
    before = engage.look()
    assert before
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    output, errors = process.communicate(timeout=STOPS_WITHIN)
    assert process.returncode not in {0, None}
    assert "Traceback" not in output + errors
    assert output.rstrip().endswith("Airflow and the HTTP service have stopped.\nPostgres has stopped."), output
    assert engage.processes() == []
