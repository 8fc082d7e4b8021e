"""What the commands share: the terminal, the database, the window, the clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Console

from engage.clock import now
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.storage import connection as databases
from engage.storage import migrations
from engage.texts import phone
from engage.window import Window

console = Console()
errors = Console(stderr=True)

WindowStart = Annotated[
    str | None,
    typer.Option("--window-start", help="First day of a complete window, such as 2025-01-06.", show_default=False),
]


@contextmanager
def database(*, upgraded: bool = True, serving: bool = False) -> Iterator[sa.Engine]:
    """The database that ENGAGE_DATABASE_URL names, or the embedded one.

    With ``upgraded``, the embedded one is brought up to date and the other one must be. Who is ``serving`` stays, and
    other commands use the embedded one meanwhile.
    """
    if url := os.environ.get("ENGAGE_DATABASE_URL"):
        engine = databases.connect(url)
        try:
            if upgraded:
                migrations.require_current(engine)
            yield engine
        finally:
            engine.dispose()
        return
    with embedded_postgres.engine(Home.default(), serving=serving) as engine:
        if upgraded:
            migrations.upgrade(engine, now())
        yield engine


def hash_key() -> bytes:
    """The key that belongs to the database: the embedded one has its own."""
    embedded = not os.environ.get("ENGAGE_DATABASE_URL")
    return phone.hash_key(Home.default().secret("hash") if embedded else os.environ.get("ENGAGE_HASH_KEY"))


def window_named(start: str | None) -> Window:
    """The window that ``--window-start`` names, by default the last complete one."""
    return Window.last_complete(now()) if start is None else Window.named(start, now())
