"""``engage import …``: customers and events from files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import sqlalchemy as sa
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from engage.cli.common import AsJson, console, database, errors, hash_key, login, plain, print_json
from engage.cli.import_words import sentences
from engage.clock import now
from engage.currency import currency
from engage.errors import InputError
from engage.imports import customers as customer_import
from engage.imports import events as event_import
from engage.imports.rejected import RejectedRows
from engage.imports.report import Job, Options, Report
from engage.imports.values import DecimalMark

app = typer.Typer(help="Customers and events from files: CSV, JSON Lines or Parquet.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV, also gzip, JSON Lines or Parquet; - for standard input.")
]
Apply = Annotated[bool, typer.Option("--apply", help="Change the database. Without it, only the report is made.")]
Mapping = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=FIELD", help='Which column is which field, such as "Mobile=phone"; may be '
                 "repeated. The field - is none."),
]  # fmt: skip
RejectedFile = Annotated[
    Path | None,
    typer.Option("--rejected", help="Where to write the rejected rows.", show_default="FILE.rejected.csv"),
]
_STANDARD_INPUT = Path("-")
_Work = Callable[[sa.Engine, BinaryIO, Job], Report]


@app.command()
def customers(
    file: File,
    *,
    apply: Apply = False,
    mapping: Mapping = None,
    country: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="The country of phones without a country's code, such as US.", show_default=False
        ),
    ] = None,
    rejected: RejectedFile = None,
    as_json: AsJson = False,
) -> None:
    """Report what a file of customers would change; with --apply, change it.

    A missing value erases nothing. A row that is not right is written to FILE.rejected.csv with the reason.
    """
    options = Options(tuple(mapping or ()), country)
    key = hash_key()
    work = customer_import.apply if apply else customer_import.check
    _run(partial(work, hash_key=key), options, file, rejected, as_json=as_json)


@app.command()
def events(
    file: File,
    *,
    apply: Apply = False,
    mapping: Mapping = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", help="The type of all events of a file without such a column.", show_default=False),
    ] = None,
    decimal: Annotated[
        DecimalMark | None,
        typer.Option(help="The mark before the cents, if the file does not show it.", show_default=False),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            help="The owner of API keys whose events have the same ids; an event with one of them counts once.",
            show_default=False,
        ),
    ] = None,
    rejected: RejectedFile = None,
    as_json: AsJson = False,
) -> None:
    """Report what a file of events would add; with --apply, add it.

    A file is loaded once: the same content again adds nothing. An event with an event id counts once too. A row that is
    not right is written to FILE.rejected.csv with the reason.
    """
    options = Options(tuple(mapping or ()), event_type=type_, decimal=decimal, owner=owner)
    money = currency()
    work = event_import.apply if apply else event_import.check
    _run(partial(work, currency=money), options, file, rejected, as_json=as_json)


def _run(work: _Work, options: Options, file: Path, target: Path | None, *, as_json: bool) -> None:
    """Read the file, and print the report."""
    name = "stdin" if file == _STANDARD_INPUT else file.name
    beside = Path() if file == _STANDARD_INPUT else file.parent
    rows = RejectedRows(target or beside / f"{name}.rejected.csv")
    with _opened(file) as stream, database(new=True) as engine, _progress(name) as progress, rows:
        report = work(engine, stream, Job(options, now(), rows, progress, login()))
    if as_json:
        print_json(report.to_json() | {"rejected_file": rows.path and str(rows.path)})
        return
    for sentence in sentences(report, rows.path):
        console.print(plain(sentence), soft_wrap=True)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The file, or standard input.

    Raises:
        InputError: it cannot be opened.
    """
    if file == _STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as exc:
        raise InputError(f"{file} cannot be read: {exc.strerror}. Nothing was changed.") from None
    with stream:
        yield stream


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int], None]]:
    """Shows the number of rows read, on a terminal only."""
    columns: tuple[Any, ...] = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(f"Reading {name}")
        yield lambda rows: bar.update(task, description=f"{name}: {rows:,} rows read")
