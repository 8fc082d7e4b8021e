"""``engage messages …``: list the ledger, halt and resume a campaign, settle messages of unknown outcome."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engage import parsing
from engage.campaigns import campaign
from engage.cli import completion
from engage.cli.common import (
    AsJson,
    CustomerId,
    WindowStart,
    add_row,
    console,
    database,
    login,
    print_json,
    print_table,
    table_of,
    window_data,
    window_named,
)
from engage.clock import now
from engage.errors import InputError
from engage.sending import ledger, providers
from engage.sending.ledger import Entry, Settlement
from engage.sending.reconcile import reconcile
from engage.statuses import MESSAGE_MOVES, MessageStatus
from engage.storage.database_clock import DatabaseClock
from engage.window import Window

app = typer.Typer(help="The ledger of messages: list, halt, resume, settle.", no_args_is_help=False)

TheWindow = Annotated[
    str,
    typer.Option("--window-start", help="First day of the campaign's window.", autocompletion=completion.window_starts),
]
By = Annotated[str | None, typer.Option("--by", help="Your name, for the record.", show_default="your login")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the record.")]


@app.callback(invoke_without_command=True)
def list_(
    context: typer.Context,
    status: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(MessageStatus)}.", autocompletion=completion.message_statuses),
    ] = None,
    window_start: WindowStart = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of messages to show.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List a campaign's messages, by default those of the latest campaign. Phone numbers are masked.

    The commands halt and resume stop and continue the sending; resolve and reconcile settle messages of unknown
    outcome.
    """
    if context.invoked_subcommand:
        return
    if status is not None and status not in list(MessageStatus):
        raise InputError(f"There is no status {status!r}; there are {', '.join(MessageStatus)}.")
    with database() as engine, engine.begin() as conn:
        window = window_named(window_start) if window_start else campaign.latest(conn)
        found = ledger.entries(conn, window, status=status, limit=limit + 1) if window else []
    if as_json:
        print_json([asdict(entry) for entry in found[:limit]])
        return
    _print_entries(window, found[:limit], more=len(found) > limit)


@app.command()
def halt(window_start: TheWindow, why: Why = "no reason given", by: By = None) -> None:
    """Stop a campaign's sender before its next claim. Queued messages wait for `messages resume`."""
    window = Window.named(window_start, now())
    by, why = parsing.note(by or login(), "--by"), parsing.note(why, "--why")
    with database() as engine, engine.begin() as conn:
        campaign.halt(conn, window, by=by, why=why, as_of=DatabaseClock(engine)())
    console.print(f"The campaign of {window} is halted. Queued messages wait.")


@app.command()
def resume(window_start: TheWindow) -> None:
    """End the halt of a campaign. Queued messages go out when the task `message` runs again."""
    window = Window.named(window_start, now())
    with database() as engine, engine.begin() as conn:
        campaign.resume(conn, window, as_of=DatabaseClock(engine)())
    console.print(f"The campaign of {window} is resumed. Clear its task message in Airflow, or use `engage run`.")


@app.command()
def resolve(
    customer_id: CustomerId,
    window_start: TheWindow,
    status: Annotated[
        str,
        typer.Option(
            "--as",
            help=f"One of {', '.join(MESSAGE_MOVES[MessageStatus.UNKNOWN])}.",
            autocompletion=completion.outcomes,
        ),
    ],
    why: Why,
    by: By = None,
) -> None:
    """Settle a message of unknown outcome by hand. It is never sent again."""
    window = Window.named(window_start, now())
    with database() as engine:
        settled = Settlement(status, why, by or login())
        ledger.settle(engine, window, customer_id, settled, as_of=DatabaseClock(engine)())
    console.print(f"The message to customer {customer_id} is {status} now.")


@app.command("reconcile")
def reconcile_(window_start: WindowStart = None, as_json: AsJson = False) -> None:
    """Ask the provider about messages of unknown outcome, and settle those that it knows."""
    window = window_named(window_start)
    with database() as engine:
        done = reconcile(engine, window, providers.provider, as_of=DatabaseClock(engine)())
    if as_json:
        print_json({"window": window_data(window), **asdict(done)})
        return
    console.print(
        f"{done.found} found at the provider, {done.not_found} not found and marked failed, "
        f"{done.still_unknown} still unknown."
    )


def _print_entries(window: Window | None, entries: list[Entry], *, more: bool) -> None:
    if not entries:
        console.print("There are no such messages.")
        return
    columns = ("customer", "bucket", "status", "phone", "since", "what")
    table = table_of(*columns, title=f"Messages of {window}", whole="customer")
    for entry in entries:
        what = entry.reason or entry.error or ""
        who = f" ({entry.settled_by}: {entry.settled_why})" if entry.settled_by else ""
        since = max(entry.times.values())
        cells = (
            str(entry.customer_id),
            entry.bucket,
            entry.status,
            entry.phone,
            f"{since:%Y-%m-%d %H:%M:%S}",
            what + who,
        )
        add_row(table, *cells)
    print_table(table)
    if more:
        console.print("There are more messages; --limit shows them.")
