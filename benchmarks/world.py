"""The benchmark's database: seeds, warms, scans, copies and compares it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.earlier_aggregate import earlier_activity
from benchmarks.peers import ACTIVITY, BUCKET, KEYS, LANDING
from benchmarks.step import now, timed
from engage.local import embedded_postgres
from engage.local.home import CHECKOUT
from engage.storage import connection, migrations, partitions
from engage.storage.schema import campaign, customer_activity
from engage.window import Window

RESULTS = ("customer_activity", "customer_bucket", "message")
EVENTS = ("app_session", "purchase")
HOME = CHECKOUT / ".engage-bench"


APP_EVENTS = """INSERT INTO app_event SELECT customer_id, started_at,
    (ARRAY['viewed', 'viewed', 'liked', 'added_to_basket'])[1 + floor(random() * 4)], 'item-' || floor(random() * 200)
    FROM app_session_{}"""
"""As many app events as sessions, half of them views."""
NEXT_CAMPAIGN = """INSERT INTO campaign
    (window_start, window_end, status, settings, events, rejected, customers, opened_at)
    VALUES (:start, :end, 'aggregated', '{}', '{}', '{}', 1, :now)"""


class Mismatch(Exception):
    """A peer's rows differ from Engage's."""


@dataclass
class World:
    """One database with one window of ``customers`` customers' events."""

    engine: sa.Engine
    url: sa.URL
    window: Window
    customers: int

    @property
    def events(self) -> int:
        """Sessions and purchases in the window."""
        return sum(self.value(f"SELECT count(*) FROM {table} WHERE {self._within(table)}") for table in EVENTS)

    @property
    def messages(self) -> int:
        """Messages that the provider accepted."""
        return int(self.value("SELECT count(*) FROM message WHERE status = 'accepted'"))

    def step(self, name: str, window: Window | None = None, customers: int | None = None) -> dict[str, Any]:
        """Time one of Engage's steps in a process of its own."""
        return timed(name, self.url, window or self.window, customers or self.customers)

    def peer(self, name: str) -> dict[str, Any]:
        """Time one peer, with the keys of its tables. Its rows must equal Engage's."""
        self.run(LANDING)
        took = timed(name, self.url, self.window, self.customers)
        took["seconds"] += self.seconds(KEYS)
        self.compare(name)
        return took

    def compare(self, peer: str) -> None:
        """Compare every row of a peer with Engage's.

        Raises:
            Mismatch: a row differs.
        """
        self._compare(peer, "customer_activity", "peer_activity", ", ".join(ACTIVITY))
        self._compare(peer, "customer_bucket", "peer_bucket", ", ".join(BUCKET))

    def _compare(self, name: str, ours: str, theirs: str, columns: str) -> None:
        mine = f"SELECT {columns} FROM {ours} WHERE window_start = '{self.window.start.isoformat()}'"
        other = f"SELECT {columns} FROM {theirs}"
        for first, second in ((mine, other), (other, mine)):
            if wrong := self.value(f"SELECT count(*) FROM ({first} EXCEPT {second}) AS difference"):
                raise Mismatch(f"{name}: {wrong} rows of {theirs} differ from {ours}")

    def floor(self) -> float:
        """Seconds of the least possible work: one scan of exactly the window's rows of both tables."""
        within = {table: self._within(table) for table in EVENTS}
        return self.seconds(
            f"SELECT (SELECT count(*) FROM app_session WHERE {within['app_session']}), "
            f"(SELECT (count(*), sum(amount_cents)) FROM purchase WHERE {within['purchase']})"
        )

    def floor_of_partitions(self) -> float:
        """Seconds of a scan of the window's partitions without a condition, because they hold exactly its rows."""
        sessions, purchases = (f"{table}_{self.window.key}" for table in EVENTS)
        return self.seconds(
            f"SELECT (SELECT count(*) FROM {sessions}), (SELECT (count(*), sum(amount_cents)) FROM {purchases})"
        )

    def landing(self) -> float:
        """Seconds to write the campaign's aggregates once more, with their key, to a table that is dropped again."""
        rows = f"CREATE TABLE landed AS SELECT * FROM customer_activity_{self.window.key}"
        took = self.seconds(f"{rows}; ALTER TABLE landed ADD PRIMARY KEY (customer_id, window_start)")
        self.run("DROP TABLE landed")
        return took

    def _within(self, table: str) -> str:
        column = {"app_session": "started_at", "purchase": "purchased_at"}[table]
        return f"{column} >= '{self.window.start.isoformat()}' AND {column} < '{self.window.end.isoformat()}'"

    def prepare_earlier_aggregate(self) -> None:
        """Make the table of the earlier aggregate, and open the campaign for it and the present one."""
        with self.engine.begin() as conn:
            earlier_activity.metadata.create_all(conn)
        self.forget_campaign()
        self.step("extract")

    def compare_earlier_aggregate(self) -> None:
        """Compare every row of the earlier aggregate with the present one's.

        Raises:
            Mismatch: a row differs.
        """
        self._compare("the earlier aggregate", "customer_activity", "earlier_activity", ", ".join(ACTIVITY))

    def forget_earlier_aggregate(self) -> None:
        """Remove the table of the earlier aggregate, and the campaign."""
        self.run("DROP TABLE earlier_activity")
        self.forget_campaign()

    @contextmanager
    def app_events(self) -> Iterator[None]:
        """As many app events as the window has sessions."""
        self.run(APP_EVENTS.format(self.window.key))
        yield
        self.run("TRUNCATE app_event")

    @contextmanager
    def window_before(self) -> Iterator[None]:
        """The same customers' numbers in the window before, which are all that is read of it."""
        window = self.window.previous()
        self.step("aggregate")
        self.step("bucket")  # only a window in segments hands anything on
        start = sa.cast(window.start, sa.DateTime(timezone=True)).label("window_start")
        end = sa.cast(window.end, sa.DateTime(timezone=True)).label("window_end")
        names = [column for column in campaign.c if column.name not in ("window_start", "window_end")]
        copied = sa.select(start, end, *names).where(campaign.c.window_start == self.window.start)
        self._copy_activity(window)
        with self.engine.begin() as conn:
            conn.execute(
                sa.insert(campaign).from_select(["window_start", "window_end", *(c.name for c in names)], copied)
            )
        yield
        with self.engine.begin() as conn:
            conn.execute(sa.delete(campaign).where(campaign.c.window_start == window.start))
        self.run(f"DROP TABLE {partitions.partition_name(customer_activity, window)}")

    def _copy_activity(self, window: Window) -> None:
        """Give another window the same numbers of the same customers."""
        start = sa.cast(window.start, sa.DateTime(timezone=True)).label("window_start")
        rows = partitions.of(customer_activity, self.window)
        others = [column for column in rows.c if column.name != "window_start"]
        with self.engine.begin() as conn:
            partitions.replace(conn, customer_activity, window, sa.select(start, *others))

    @contextmanager
    def neighbours(self) -> Iterator[None]:
        """What the same customers did in the windows before and after, which is all that measuring reads of them."""
        for window in (self.window.previous(), self.window.next()):
            self._copy_activity(window)
        following = {"start": self.window.next().start, "end": self.window.next().end, "now": now()}
        with self.engine.begin() as conn:
            conn.execute(sa.text(NEXT_CAMPAIGN), following)
        yield
        for window in (self.window.previous(), self.window.next()):
            self.run(f"DROP TABLE {partitions.partition_name(customer_activity, window)}")

    def dump(self, folder: Path) -> None:
        """Write the window's events into files, in the binary format of COPY."""
        for table in EVENTS:
            self.run(f"COPY (SELECT * FROM {table}_{self.window.key}) TO '{folder / table}' (FORMAT binary)")
        os.sync()  # the disk should be idle when the clock starts
        self.settle()

    def raw_copy(self, folder: Path) -> float:
        """Seconds of a COPY with its commit, from files into tables without partitions, keys or indexes."""
        self.run("DROP TABLE IF EXISTS raw_app_session, raw_purchase")
        create = ";".join(f"CREATE TABLE raw_{table} (LIKE {table})" for table in EVENTS)
        copy = ";".join(f"COPY raw_{table} FROM '{folder / table}' (FORMAT binary)" for table in EVENTS)
        seconds = self.seconds(f"{create};{copy}")
        self.run("DROP TABLE raw_app_session, raw_purchase")
        return seconds

    def forget_seed(self) -> None:
        """Remove the customers and the window's events, so that the next seed starts with empty tables."""
        self.forget_campaign()
        tables = ", ".join(f"{table}_{self.window.key}" for table in EVENTS)
        self.run(f"TRUNCATE customer; DROP TABLE IF EXISTS {tables}")

    def forget_campaign(self) -> None:
        """Remove the steps' results, so that the steps start over."""
        self.run("DELETE FROM campaign")
        for table in RESULTS:
            self.run(f"DROP TABLE IF EXISTS {table}_{self.window.key}")

    def settle(self) -> None:
        """Write back all changes now, and not while the next thing is timed."""
        self._outside_transactions("CHECKPOINT")

    def clean_up_ledger(self) -> None:
        """Vacuum the ledger after sending, so that autovacuum does not while a peer is timed."""
        self._outside_transactions(f"VACUUM (ANALYZE) message_{self.window.key}")
        self.settle()

    def _outside_transactions(self, command: str) -> None:
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql(command)

    def warm(self) -> None:
        """Bring the database into the state of a long-running one: vacuumed, with statistics and a full cache."""
        self._outside_transactions("VACUUM (ANALYZE)")
        self.settle()
        for _ in range(2):
            self.floor()
            self.value("SELECT count(*) FROM customer")

    def seconds(self, statement: str) -> float:
        """The time of a statement, with the settings of Engage's steps."""
        with self.engine.connect() as conn:
            connection.tune(conn)
            begun = time.perf_counter()
            conn.exec_driver_sql(statement)
            conn.commit()
            return time.perf_counter() - begun

    def run(self, statement: str) -> None:
        """Execute and commit."""
        with self.engine.begin() as conn:
            conn.exec_driver_sql(statement)

    def value(self, query: str) -> Any:
        """The first column of the first row."""
        with self.engine.begin() as conn:
            connection.tune(conn)
            return conn.exec_driver_sql(query).scalar_one()


@contextmanager
def world(host: str, customers: int) -> Iterator[World]:
    """A database for ``customers``, dropped at the end."""
    name = f"bench_{customers}"
    admin = sa.create_engine(embedded_postgres.database_url(host, "postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        conn.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        conn.exec_driver_sql(f"CREATE DATABASE {name}")
    url = sa.make_url(embedded_postgres.database_url(host, name))
    engine = connection.connect(url)
    try:
        migrations.upgrade(engine, now())
        yield World(engine, url, Window.last_complete(now()), customers)
    finally:
        engine.dispose()
        with admin.connect() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {name}")
        admin.dispose()
