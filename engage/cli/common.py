"""What the commands share: the terminal, the database, the window, the ports."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Annotated, cast

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engage import formats, parsing
from engage.cli import completion
from engage.clock import now
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.steps.seed import MAX_CUSTOMERS
from engage.storage import connection, migrations, preflight
from engage.texts import phone
from engage.window import Window

console = Console()
errors = Console(stderr=True)
PIPE_WIDTH = 240
MIN_WHOLE = 12
"""Characters of an API key's id, which a command takes back."""

WindowStart = Annotated[
    str | None,
    typer.Option(
        "--window-start",
        help="First day of a complete window, such as 2025-01-06.",
        show_default=False,
        autocompletion=completion.window_starts,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output. Times are ISO 8601 in UTC.")]
CustomerId = Annotated[
    int, typer.Argument(metavar="CUSTOMER", help="The customer's id.", parser=parsing.customer_id, show_default=False)
]
Customers = Annotated[int, typer.Option(min=1, max=MAX_CUSTOMERS, help="Number of synthetic customers.")]
Port = Annotated[
    int, typer.Option(envvar="ENGAGE_PORT", min=1, max=65535, help="Port of Airflow's user interface on 127.0.0.1.")
]
ServicePort = Annotated[
    int,
    typer.Option(envvar="ENGAGE_SERVICE_PORT", min=1, max=65535, help="Port of the HTTP service on 127.0.0.1."),
]


@contextmanager
def database(*, new: bool = False, upgraded: bool = True, serving: bool = False) -> Iterator[sa.Engine]:
    """The database that ENGAGE_DATABASE_URL names, or the embedded one, which is made if it may be ``new``.

    With ``upgraded``, the embedded one is upgraded if need be, and any other must be up to date. A command that is
    ``serving`` shares the embedded one with other commands.

    Raises:
        LocalError: there is no embedded one, and it may not be new.
        NotReady: the database that ENGAGE_DATABASE_URL names is not up to date.
        UnfitDatabase: it cannot serve Engage.
    """
    if url := os.environ.get("ENGAGE_DATABASE_URL"):
        engine = connection.connect(url)
        try:
            if upgraded:
                preflight.check(engine)
                migrations.require_current(engine)
            yield engine
        finally:
            engine.dispose()
        return
    home = Home.default()
    if not new:
        embedded_postgres.require_data(home)
    with embedded_postgres.engine(home, serving=serving, say=mention) as engine:
        if upgraded:
            migrations.upgrade(engine, now(), hash_key=hash_key)
        yield engine


def hash_key() -> bytes:
    """The database's key for hashing phones: ENGAGE_HASH_KEY, or the embedded database's own."""
    embedded = not os.environ.get("ENGAGE_DATABASE_URL")
    return phone.hash_key(Home.default().secret("hash") if embedded else os.environ.get("ENGAGE_HASH_KEY"))


def login() -> str:
    """The name of the user who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.getuid()}"


def say(sentence: str) -> None:
    """Print a sentence about a process. A terminal that is closed must not keep the caller from stopping it."""
    with suppress(OSError, SystemExit):  # rich ends the program on a broken pipe
        console.print(sentence)


def mention(sentence: str) -> None:
    """Print a sentence beside a command's output, for an operator at a terminal only."""
    if errors.is_terminal:
        with suppress(OSError, SystemExit):
            errors.print(sentence, style="dim")


def plain(text: str) -> Text:
    """Text from outside for the terminal: no markup, and each control character as its escape."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return Text(shown)


def table_of(*columns: str, title: str | None = None, whole: str = "") -> Table:
    """A table with these columns. The column ``whole`` is never cut or wrapped, however narrow the terminal."""
    table = Table(title=title)
    for name in columns:
        table.add_column(name, no_wrap=name == whole, overflow="fold", min_width=MIN_WHOLE if name == whole else None)
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row of plain texts."""
    table.add_row(*map(plain, cells))


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal, or ``PIPE_WIDTH`` wide into a file or a pipe."""
    wide = console if console.is_terminal else Console(width=PIPE_WIDTH)  # print(width=…) only makes it narrower
    wide.print(table, crop=False)


def print_json(data: object) -> None:
    """Print data as JSON. Every time has the form of ``formats.iso``."""
    print(json_of(data))


def json_of(data: object) -> str:
    """Data as indented JSON, as ``print_json`` prints it."""
    return json.dumps(data, indent=2, default=_as_json)


def _as_json(value: object) -> object:
    return formats.iso(value) if isinstance(value, datetime) else sorted(cast(frozenset[str], value))


def window_data(window: Window) -> dict[str, datetime]:
    """The window as part of a command's data."""
    return {"start": window.start, "end": window.end}


def window_named(start: str | None) -> Window:
    """The window that ``--window-start`` names, by default the last complete one."""
    return Window.last_complete(now()) if start is None else Window.named(start, now())
