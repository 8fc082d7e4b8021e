"""``engage archive …``: write ended windows to the archive, list, verify and restore them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engage import formats
from engage.cli import completion
from engage.cli.common import AsJson, add_row, console, database, plain, print_json, print_table, table_of, window_data
from engage.clock import now
from engage.storage.database_clock import DatabaseClock
from engage.window import Window

# each command imports the archive's modules, because they load pyarrow, which takes a tenth of a second
app = typer.Typer(help="Events of ended windows as Parquet files: write, list, verify, restore.", no_args_is_help=False)

AWindow = Annotated[
    str,
    typer.Argument(
        metavar="WINDOW",
        help="First day of a complete window, such as 2025-01-06.",
        show_default=False,
        autocompletion=completion.window_starts,
    ),
]


@app.callback(invoke_without_command=True)
def archive(context: typer.Context, as_json: AsJson = False) -> None:
    """Write the events of all ended windows to ENGAGE_ARCHIVE_URL, and erase forgotten customers there.

    What is there already is counted again, and written anew only where Postgres has other rows. The DAG
    engage_maintenance does this every hour.
    """
    if context.invoked_subcommand:
        return
    from engage.archive import place, write  # noqa: PLC0415

    where = place.required()
    with database() as engine:
        done = write.archive(engine, where, as_of=DatabaseClock(engine)())
    if as_json:
        print_json(asdict(done))
        return
    size = formats.number(done.bytes)
    console.print(f"Written: {done.rows:,} events in {formats.counted(done.pieces, 'file')} of {size} bytes.")
    for name in done.windows:
        console.print(f"  {name}")
    if done.erased_customers:
        console.print(f"Erased from the archive: {formats.counted(done.erased_customers, 'forgotten customer')}.")


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """List what the archive holds, and which windows Postgres does not have any more."""
    from engage.archive import overview, place  # noqa: PLC0415

    where = place.required()
    with database() as engine:
        found, waiting = overview.overview(engine, where), overview.waiting(engine)
    if as_json:
        windows = [asdict(one) | {"window": window_data(one.window)} for one in found]
        print_json({"windows": windows, "customers_to_erase": waiting})
        return
    table = table_of("window", "log", "events", "bytes", "a row", "where", title=f"Archive {where}")
    for one in found:
        each = f"{one.bytes / one.rows:.1f}" if one.rows else ""
        where_ = "archive, Postgres" if one.in_postgres else "archive"
        size = formats.number(one.bytes) if one.whole else "not whole"
        add_row(table, str(one.window), one.log, formats.number(one.rows), size, each, where_)
    print_table(table)
    if waiting:
        console.print(
            f"{formats.counted(waiting, 'forgotten customer is', 'forgotten customers are')} yet to be erased here. "
            "`engage archive` does it."
        )


@app.command()
def verify(
    window: Annotated[
        str | None,
        typer.Argument(
            metavar="WINDOW",
            help="First day of a window, such as 2025-01-06. By default all of them.",
            show_default=False,
            autocompletion=completion.window_starts,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every file of the archive, and compare it with its manifest. The exit code is 1 if one is not right."""
    from engage.archive import overview, place  # noqa: PLC0415

    where = place.required()
    chosen = None if window is None else Window.named(window, now())
    with database() as engine:
        found = [*overview.verified(engine, where, chosen)]
    wrong = [fault for _, _, faults in found for fault in faults]
    if as_json:
        print_json([{"log": log, "window": window_data(of), "faults": faults} for log, of, faults in found])
    else:
        for fault in wrong:
            console.print(plain(fault), soft_wrap=True)
        verdict = f"{formats.counted(len(wrong), 'fault')} found." if wrong else "All files are whole."
        console.print(f"{formats.counted(len(found), 'window of a log', 'windows of logs')} read. {verdict}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def restore(window: AWindow, as_json: AsJson = False) -> None:
    """Bring a window's events back into Postgres. They stay there for at least seven days."""
    from engage.archive import place  # noqa: PLC0415
    from engage.archive.restore import restore as restore_window  # noqa: PLC0415

    where = place.required()
    chosen = Window.named(window, now())
    with database() as engine:
        done = restore_window(engine, where, chosen, as_of=DatabaseClock(engine)())
    if as_json:
        print_json(asdict(done))
    elif not done.restored:
        console.print(f"Postgres has all events of {chosen} already.")
    else:
        rows = ", ".join(f"{count:,} of {log}" for log, count in done.restored.items())
        console.print(f"Restored events of {chosen}: {rows}.")
