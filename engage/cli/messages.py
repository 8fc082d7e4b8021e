"""The commands about single messages and customers: ``python -m engage messages …``, ``customers …``."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from engage.campaigns import campaign
from engage.cli.common import WindowStart, console, database, window_named
from engage.clock import now
from engage.customers import erasure
from engage.errors import InputError
from engage.sending import ledger, providers
from engage.sending.ledger import Entry, Settlement
from engage.sending.reconcile import reconcile
from engage.statuses import MESSAGE_MOVES, MessageStatus
from engage.window import Window

messages = typer.Typer(help="The ledger of messages, and the brake.", no_args_is_help=False)
customers = typer.Typer(help="What a customer may ask for.", no_args_is_help=True)

TheWindow = Annotated[str, typer.Option("--window-start", help="First day of the campaign's window.")]
By = Annotated[str | None, typer.Option("--by", help="Who says so.", show_default="your login")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept.")]
CustomerId = Annotated[int, typer.Argument(metavar="CUSTOMER", help="The customer's id.")]


@messages.callback(invoke_without_command=True)
def list_(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(MessageStatus)}.")] = None,
    window_start: WindowStart = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List a campaign's messages, by default the latest's. Phone numbers are masked.

    The brake and the ways to settle a message whose fate is unknown are commands of their own.
    """
    if context.invoked_subcommand:
        return
    if status is not None and status not in list(MessageStatus):
        raise InputError(f"There is no status {status!r}; there are {', '.join(MessageStatus)}.")
    with database() as engine, engine.begin() as conn:
        window = window_named(window_start) if window_start else campaign.latest(conn)
        found = ledger.entries(conn, window, status=status, limit=limit + 1) if window else []
    if as_json:
        print(json.dumps([asdict(entry) for entry in found[:limit]], indent=2, default=str))
        return
    _print_entries(window, found[:limit], more=len(found) > limit)


@messages.command()
def halt(window_start: TheWindow, why: Why = "no reason given", by: By = None) -> None:
    """Stop a campaign's sender before its next claim; nothing more is sent until it is resumed."""
    window = Window.named(window_start, now())
    with database() as engine, engine.begin() as conn:
        campaign.halt(conn, window, by=by or _login(), why=why, as_of=now())
    console.print(f"The campaign of {window} is halted. What is queued waits.")


@messages.command()
def resume(window_start: TheWindow) -> None:
    """Release the brake. What is queued goes out when the task `message` runs again."""
    window = Window.named(window_start, now())
    with database() as engine, engine.begin() as conn:
        campaign.resume(conn, window, as_of=now())
    console.print(f"The campaign of {window} may go on: clear its task message in Airflow, or use `engage run`.")


@messages.command()
def resolve(
    customer_id: CustomerId,
    window_start: TheWindow,
    status: Annotated[str, typer.Option("--as", help=f"One of {', '.join(MESSAGE_MOVES['unknown'])}.")],
    why: Why,
    by: By = None,
) -> None:
    """Settle a message whose fate is unknown, by hand. It is not sent again, whatever is said of it."""
    window = Window.named(window_start, now())
    with database() as engine:
        ledger.settle(engine, window, customer_id, Settlement(status, why, by or _login()), as_of=now())
    console.print(f"The message to customer {customer_id} is {status} now.")


@messages.command("reconcile")
def reconcile_(window_start: WindowStart = None) -> None:
    """Ask the provider what became of messages whose fate is unknown, and settle those it can tell of."""
    window = window_named(window_start)
    with database() as engine:
        done = reconcile(engine, window, providers.provider, as_of=now())
    console.print(
        f"{done.found} found at the provider, {done.not_found} not there and so failed, "
        f"{done.still_unknown} still unknown."
    )


@customers.callback()
def _customers() -> None:
    """What a customer may ask for."""


@customers.command()
def forget(customer_id: CustomerId) -> None:
    """Remove what is known of a customer and never text their phone again. The campaigns' counts stay.

    Backups and the logs of the database server are not reached.
    """
    with database() as engine:
        done = erasure.forget(engine, customer_id, as_of=now())
    if not (done.known or done.events or done.messages):
        console.print(f"There is no customer {customer_id}, or no more.")
        return
    console.print(
        f"Customer {customer_id} is forgotten: {done.events} events deleted, {done.messages} messages made nobody's, "
        "the phone suppressed."
    )


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.getuid()}"


def _print_entries(window: Window | None, entries: list[Entry], *, more: bool) -> None:
    if not entries:
        console.print("There are no such messages.")
        return
    table = Table("customer", "bucket", "status", "phone", "since", "what", title=f"Messages of {window}")
    for entry in entries:
        what = entry.reason or entry.error or ""
        who = f" ({entry.settled_by}: {entry.settled_why})" if entry.settled_by else ""
        since = max(entry.times.values())
        table.add_row(
            str(entry.customer_id), entry.bucket, entry.status, entry.phone, f"{since:%Y-%m-%d %H:%M:%S}", what + who
        )
    console.print(table)
    if more:
        console.print("There are more; --limit shows them.")
