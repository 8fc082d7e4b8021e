"""``engage demo``: start the local stack, run one campaign on synthetic customers, and print its report."""

from __future__ import annotations

import sys

from engage.cli import local_stack
from engage.cli.common import Customers, Port, ServicePort, console
from engage.cli.report import print_report, print_seconds
from engage.local.demo import run_demo
from engage.reports.report import report


def demo(port: Port = 8080, service_port: ServicePort = 8000, customers: Customers = 10_000) -> None:
    """Start everything, run a campaign on synthetic customers, and show its report.

    On a terminal it then serves until Ctrl-C; elsewhere it stops everything and ends.
    """
    with local_stack.running(port, service_port) as airflow:
        console.print(f"Running a campaign with {customers:,} synthetic customers …")
        run = run_demo(airflow, customers, console)
        with airflow.stack.database() as engine:
            found = report(engine)
        print_report(found)
        print_seconds("Seconds by task, as Airflow saw them", run.seconds_by_task)
        if run.waits:
            console.print(
                "engage_require_approval is on, so the run waits for an approver. Answer in Airflow under Required "
                "Actions; `make up` serves Airflow too."
            )
        if found.window["run_id"] != run.run_id and found.window["frozen_at"]:
            console.print(
                f"This window's campaign was frozen on {found.window['frozen_at'][:16]} UTC, so the run changed "
                "nothing and sent nothing. `make clean` starts over."
            )
        if sys.stdin.isatty() and sys.stdout.isatty():
            local_stack.print_addresses(airflow)
            local_stack.serve_until_interrupt(airflow)
            return
        if not run.waits:
            airflow.wait_until_idle()
        console.print("The demonstration is over. `make up` serves its data, with this report among Airflow's pages.")
