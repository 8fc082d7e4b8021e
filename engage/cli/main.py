"""The command line: ``python -m engage …``."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from engage import process_signals, settings
from engage.campaigns.run_options import RunOptions
from engage.cli import messages, service
from engage.cli.common import WindowStart, console, database, errors, hash_key, window_named
from engage.clock import now
from engage.errors import EngageError, InputError, NoCustomers
from engage.local import demo
from engage.local import stack as local_stack
from engage.local.airflow_api import AirflowApi
from engage.local.home import Home
from engage.maintenance import maintain
from engage.reports.report import Report, report
from engage.sending.sender import SendingContext
from engage.steps import approve
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.message import message
from engage.steps.seed import MAX_CUSTOMERS, seed
from engage.storage import migrations

app = typer.Typer(
    help="Engage: every 8 weeks, from app activity to a text message for the customers who deserve one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(help="The database's schema.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(messages.messages, name="messages")
app.add_typer(messages.customers, name="customers")
app.add_typer(service.keys, name="keys")
app.command()(service.serve)
Port = Annotated[
    int, typer.Option(envvar="ENGAGE_PORT", min=1, max=65535, help="Port of Airflow's user interface on 127.0.0.1.")
]
ServicePort = Annotated[
    int,
    typer.Option(envvar="ENGAGE_SERVICE_PORT", min=1, max=65535, help="Port of the HTTP service on 127.0.0.1."),
]
Customers = Annotated[int, typer.Option(min=1, max=MAX_CUSTOMERS, help="How many synthetic customers.")]


@app.command()
def up(port: Port = 8080, service_port: ServicePort = 8000) -> None:
    """Start Postgres, Airflow and the HTTP service on this machine and serve until Ctrl-C."""
    with _stack(port, service_port) as airflow:
        _print_address(airflow)
        _serve(airflow)


@app.command("demo")
def demo_(port: Port = 8080, service_port: ServicePort = 8000, customers: Customers = 10_000) -> None:
    """Start everything, run a campaign on synthetic customers, and show what it did.

    On a terminal it keeps serving until Ctrl-C; elsewhere it stops everything and ends.
    """
    with _stack(port, service_port) as airflow:
        console.print(f"Running a campaign with {customers:,} synthetic customers …")
        run = demo.run_demo(airflow, customers, console)
        with airflow.stack.database() as engine:
            found = report(engine)
        _print_report(found)
        _print_seconds("Seconds by task, as Airflow saw them", run.seconds_by_task)
        if run.waits:
            console.print(
                "engage_require_approval is on, so the run waits for somebody to approve of its messages: answer in "
                "Airflow, which `make up` serves as well, under Required Actions."
            )
        if found.window["run_id"] != run.run_id and found.window["frozen_at"]:
            console.print(
                f"This window's campaign was frozen on {found.window['frozen_at'][:16]} UTC, so the run "
                "changed nothing and texted nobody again. `make clean` starts over."
            )
        _print_address(airflow)
        if sys.stdin.isatty() and sys.stdout.isatty():
            _serve(airflow)
        elif not run.waits:
            airflow.wait_until_idle()


@db.command()
def upgrade() -> None:
    """Bring the schema up to date and make the partitions of the current windows and the next two."""
    with database(upgraded=False) as engine:
        migrations.upgrade(engine, now())
    console.print("The database is up to date.")


@app.command()
def variables() -> None:
    """Print the default Variables, as `airflow variables import` reads them."""
    print(settings.default_variables())


@app.command("seed")
def seed_(
    customers: Customers = 10_000,
    rng_seed: Annotated[int | None, typer.Option(min=0, help="The same gives the same data.")] = None,
    window_start: WindowStart = None,
) -> None:
    """Write synthetic customers, and their events of one window, into a database without real customers."""
    window = window_named(window_start)
    with database() as engine, Progress(console=console) as bar:
        task = bar.add_task(f"Seeding {window}", total=customers)
        summary = seed(
            engine,
            window,
            customers,
            rng_seed,
            hash_key=hash_key(),
            progress=lambda done, total: bar.update(task, completed=done),
        )
    if summary.frozen:
        console.print(f"The campaign of {window} is frozen, so its events were left as they are.")
    else:
        console.print(
            f"{summary.customers:,} customers, {summary.sessions:,} sessions, {summary.purchases:,} purchases "
            f"(rng_seed {summary.rng_seed})"
        )


@app.command()
def run(
    window_start: WindowStart = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting other than its default; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compute and record, queue nothing.")] = False,
    send_late: Annotated[
        bool, typer.Option("--send-late", help="Text people although the window is long over.")
    ] = False,
    ignore_guard: Annotated[
        bool, typer.Option("--ignore-guard", help="Text people although the guard finds something wrong.")
    ] = False,
) -> None:
    """Run one campaign without Airflow, or go on with one, by default through the sandbox, which texts nobody.

    Settings come from the defaults and --set, not from Airflow's Variables.
    """
    given = _assignments(set_ or [])
    chosen = settings.validate(given, label=lambda name: f"--set {name}")
    window = window_named(window_start)
    options = RunOptions(dry_run=dry_run, send_late=send_late, ignore_guard=ignore_guard)
    with database() as engine:
        if "require_approval" not in given:
            approve.refuse_to_bypass(engine, window)
        try:
            extract(engine, window, chosen, as_of=now(), run_id="cli", options=options)
        except NoCustomers as exc:
            console.print(str(exc))
            return
        aggregate(engine, window)
        bucket(engine, window)
        done = message(engine, window, options=options, context=SendingContext(now))
        _print_report(report(engine, window))
    if done.note:
        console.print(done.note)
    if done.resume_at:
        console.print(f"Some messages have to wait. Run the same again from {done.resume_at:%Y-%m-%d %H:%M} UTC on.")


@app.command("maintain")
def maintain_(
    keep_windows: Annotated[
        int, typer.Option(help="Keep the events of so many complete windows.")
    ] = settings.Settings().keep_windows,
) -> None:
    """Make partitions ahead, and delete what was kept long enough: what the DAG engage_maintenance does every day."""
    chosen = settings.validate({"keep_windows": keep_windows}, label=lambda name: "--keep-windows")
    with database() as engine:
        done = maintain(engine, chosen.keep_windows, as_of=now())
    console.print(
        f"Deleted {done.idempotency_keys:,} idempotency keys, {done.inbound_texts:,} records of customers' texts and "
        f"{done.late_events:,} late events."
    )
    console.print(f"Windows whose events were dropped: {', '.join(done.dropped) or 'none'}")
    console.print(f"Windows as old, kept as no campaign of theirs is complete: {', '.join(done.kept) or 'none'}")


@app.command()
def clean() -> None:
    """Delete the local stack's data: the embedded Postgres with every customer and campaign in it."""
    home = Home.default()
    local_stack.remove(home)
    console.print(f"Removed {home.path}")


@app.command("report")
def report_(
    window_start: WindowStart = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Show what a campaign did, by default the latest."""
    window = None if window_start is None else window_named(window_start)
    with database() as engine:
        found = report(engine, window)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _print_report(found)


def main() -> None:
    """Entry point: an error for a person is one sentence on standard error and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    process_signals.interrupt_on_signals()
    try:
        app()
    except EngageError as exc:
        _print_error(str(exc))
        sys.exit(1)
    except sa.exc.ArgumentError as exc:
        _print_error(f"ENGAGE_DATABASE_URL is not a database's URL, such as postgresql://user@host/name: {exc}")
        sys.exit(1)
    except sa.exc.OperationalError as exc:
        _print_error(f"The database does not answer: {exc.orig}")
        sys.exit(1)


def _print_error(sentence: str) -> None:
    """As plain text: the sentence repeats what was typed, which must not be read as markup."""
    errors.print(Text.assemble(("Error:", "red"), f" {sentence}"), soft_wrap=True)


@contextmanager
def _stack(port: int, service_port: int) -> Iterator[AirflowApi]:
    """The local stack, healthy and with its default Variables."""
    if os.environ.get("ENGAGE_DATABASE_URL"):
        raise InputError("The local stack has a Postgres of its own. Unset ENGAGE_DATABASE_URL to start it.")
    console.print("Starting Postgres, Airflow and the HTTP service …")
    with local_stack.stack(Home.default(port, service_port)) as stack:
        airflow = AirflowApi(stack)
        airflow.wait_until_healthy()
        airflow.add_default_variables()
        yield airflow


def _serve(airflow: AirflowApi) -> None:
    console.print("Serving until Ctrl-C.")
    try:
        while True:
            for name in airflow.stack.keep_alive():
                console.print(f"The {name} had died; it was started again.")
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("Stopping …")


def _assignments(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set {pair} has no value; write --set name=value, such as low_spend_threshold=120.")
    return dict(pair.split("=", 1) for pair in pairs)


def _print_address(airflow: AirflowApi) -> None:
    home = airflow.stack.home
    console.print(
        f"Airflow: {home.url}   user [bold]{local_stack.ADMIN}[/]   password [bold]{home.secret('password')}[/]"
    )
    console.print(f"HTTP service: {home.service_url}   keys: python -m engage keys create")


def _print_report(found: Report) -> None:
    window = found.window
    console.print(f"\n[bold]Campaign {window['start'][:10]} to {window['end'][:10]}[/] ({window['status']})")
    buckets = Table("bucket", "customers", "share", title="Buckets")
    for name, count in found.buckets.items():
        buckets.add_row(name, f"{count:,}", f"{count / (found.customers or 1):.1%}")
    buckets.add_row("all", f"{found.customers or 0:,}", "", style="bold")
    console.print(buckets)
    messages = Table("status", "reason", "messages", title="Messages")
    for status, count in found.messages["by_status"].items():
        if status != "skipped":
            messages.add_row(status, "", f"{count:,}")
    for reason, count in found.messages["skipped_by_reason"].items():
        messages.add_row("skipped", reason, f"{count:,}")
    console.print(messages)
    for entry in found.messages["unknown"]:
        console.print(
            f"Unknown: customer {entry['customer_id']}, phone {entry['phone']}, {entry['sending_at'][:16]}: "
            f"{entry['error']}"
        )
    if window["approval"]:
        console.print(window["approval"], markup=False)
    if window["halted"]:
        console.print(Text.assemble(("Halted", "red"), f" {window['halted']}"))
    _print_guard(**found.guard)
    events = ", ".join(f"{count:,} {kind}" for kind, count in found.events.items())
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in found.rejected.items() if count) or "none"
    console.print(f"Events: {events}; rejected: {rejected}")
    _print_seconds("Seconds by step, inside Postgres", found.timings)


def _print_guard(findings: list[str], ignored_by: str | None) -> None:
    for sentence in findings:
        console.print(f"[yellow]Guard:[/] {sentence}")
    if findings and ignored_by:
        console.print(f"It was ignored by the run {ignored_by}", markup=False)


def _print_seconds(title: str, seconds: dict[str, float]) -> None:
    console.print(f"{title}: " + ", ".join(f"{name} {took:.2f}" for name, took in seconds.items()))
