"""A warehouse with a chain's events: a second Postgres, and folders of files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from engage.local import embedded_postgres
from engage.local.home import Home
from engage.sources import Source
from engage.window import Window
from tests.server_folder import server_folder

NAME = "warehouse"
TABLES = """
DROP TABLE IF EXISTS opened, orders;
CREATE TABLE opened (id bigint, client bigint, at timestamptz);
CREATE TABLE orders (number text, client bigint, at timestamp, total numeric, extra jsonb);
"""
SESSIONS = (
    "SELECT id AS event_id, client AS customer_id, at AS occurred_at FROM opened WHERE at >= :since AND at < :until"
)
PURCHASES = "SELECT number, client, at, total, extra FROM orders WHERE at >= :since AND at < :until;"
RENAMED = {"event_id": "number", "customer_id": "client", "occurred_at": "AT", "amount": "Total"}
DEFINITION = {"session": {"query": SESSIONS}, "purchase": {"query": PURCHASES, "columns": RENAMED}}


@dataclass
class Warehouse:
    """A chain's database. It counts the connections."""

    url: str
    opened: int = 0

    def connect(self) -> psycopg.Connection[Any]:
        self.opened += 1
        return psycopg.connect(self.url)

    def execute(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.url) as conn:
            conn.execute(statement, values or None)

    def count(self, table: str, window: Window) -> int:
        with psycopg.connect(self.url) as conn:
            query = f"SELECT count(*) FROM {table} WHERE at >= %s AND at < %s"
            row = conn.execute(query, (window.start, window.end)).fetchone()
        assert row
        return int(row[0])

    def fill(self, window: Window, sessions: int, purchases: int, customers: int = 50) -> None:
        """Add events that are spread evenly over the window, with ids from 1 on."""
        span = f"timestamptz '{window.start.isoformat()}' + interval '8 weeks' * (n - 1) / "
        self.execute(
            f"INSERT INTO opened SELECT n, n % {customers} + 1, {span} {sessions} FROM generate_series(1, {sessions}) n"
        )
        self.execute(
            f"INSERT INTO orders SELECT 'o' || n, n % {customers} + 1, ({span} {purchases}) AT TIME ZONE 'UTC', "
            f"n * 0.25 FROM generate_series(1, {purchases}) n"
        )

    def source(self, definition: Any = DEFINITION, name: str = NAME) -> Source:
        return Source.of(name, definition, self.connect, local)


@contextmanager
def second_postgres() -> Iterator[str]:
    """URL of a database on a server of its own."""
    with server_folder() as folder, embedded_postgres.postgres(Home(folder)) as host:
        yield f"postgresql://postgres@/postgres?host={host}"


def local(path: str) -> tuple[LocalFileSystem, str]:
    return LocalFileSystem(), path


@dataclass
class Folder:
    """A folder of files, as a job of the chain leaves them."""

    path: Path

    def parquet(self, name: str, rows: list[dict[str, Any]], **options: Any) -> None:
        (self.path / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), self.path / name, **options)

    def json_lines(self, name: str, rows: list[Any]) -> None:
        lines = "\n".join(row if isinstance(row, str) else json.dumps(row, default=str) for row in rows)
        data = lines.encode()
        (self.path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    def source(self, kind: str = "session", name: str = NAME, **more: Any) -> Source:
        return Source.of(name, {kind: {"path": str(self.path)} | more}, refuse, local)


def refuse() -> None:
    raise AssertionError("files need no connection")


def sessions(
    window: Window, count: int, first: int = 1, step: timedelta = timedelta(minutes=7)
) -> list[dict[str, Any]]:
    """Rows of sessions within the window."""
    return [
        {"event_id": f"s{n}", "customer_id": n % 50 + 1, "occurred_at": window.start + (n - first) * step}
        for n in range(first, first + count)
    ]
