"""``engage demo``: start the local stack, run campaigns on synthetic customers, and print a report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from engage.cli import demo_history, local_stack
from engage.cli.common import Port, ServicePort, console
from engage.cli.report import print_report, print_seconds
from engage.errors import InputError
from engage.local.airflow_api import AirflowApi
from engage.local.demo import DemoRun, run_demo
from engage.reports.report import report
from engage.steps.seed import MAX_CUSTOMERS

CUSTOMERS = 10_000


def demo(
    port: Port = 8080,
    service_port: ServicePort = 8000,
    customers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_CUSTOMERS,
            help=f"Number of synthetic customers: {CUSTOMERS:,}, or {demo_history.CUSTOMERS:,} with --history.",
            show_default=False,
        ),
    ] = None,
    history: Annotated[
        int | None,
        typer.Option(
            min=demo_history.FEWEST,
            max=demo_history.MOST,
            help="Run so many windows in a row, with a holdout and an effect of the texts to be found.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        Literal["postgres", "spark"],
        typer.Option(help="What sums up the events: Postgres, or Sail, a server of Spark Connect, over an archive."),
    ] = "postgres",
) -> None:
    """Start everything, run a campaign on synthetic customers, and show its report.

    On a terminal it then serves until Ctrl-C; elsewhere it stops everything and ends.
    """
    windows = demo_history.windows_until_now(history) if history else []
    if windows and engine != "postgres":
        raise InputError("--history takes the engine postgres. Leave --engine or --history out.")
    with _server(engine) as variables, local_stack.running(port, service_port, variables) as airflow:
        if windows:
            waits = demo_history.demonstrate(airflow, windows, customers or demo_history.CUSTOMERS)
        else:
            waits = _one_campaign(airflow, customers or CUSTOMERS, engine)
        if waits:
            console.print(
                "engage_require_approval is on, so the run waits for an approver. Answer in Airflow under Required "
                "Actions; `make up` serves Airflow too."
            )
        if sys.stdin.isatty() and sys.stdout.isatty():
            local_stack.print_addresses(airflow)
            local_stack.serve_until_interrupt(airflow)
            return
        if not waits:
            airflow.wait_until_idle()
        console.print("The demonstration is over. `make up` serves its data, with this report among Airflow's pages.")


@contextmanager
def _server(engine: str) -> Iterator[dict[str, str]]:
    """The server of the engine, and the variables by which the stack finds it."""
    if engine == "postgres":
        yield {}
        return
    from engage.cli import demo_spark  # noqa: PLC0415 - it loads pyarrow, which few commands need

    with demo_spark.server() as variables:
        yield variables


def _one_campaign(airflow: AirflowApi, customers: int, engine: str) -> bool:
    """Run a campaign of the last window, and print its report. Returns whether it waits for an approver."""
    console.print(f"Running a campaign with {customers:,} synthetic customers …")
    run = _run(airflow, customers, engine)
    with airflow.stack.database() as database:
        found = report(database)
    print_report(found)
    print_seconds("Seconds by task, as Airflow saw them", run.seconds_by_task)
    if found.window["run_id"] != run.run_id and found.window["frozen_at"]:
        console.print(
            f"This window's campaign was frozen on {found.window['frozen_at'][:16]} UTC, so the run changed "
            "nothing and sent nothing. `make clean` starts over."
        )
    return run.waits


def _run(airflow: AirflowApi, customers: int, engine: str) -> DemoRun:
    if engine == "postgres":
        return run_demo(airflow, customers, console)
    from engage.cli import demo_spark  # noqa: PLC0415 - as above

    return demo_spark.run_demo(airflow, customers)
