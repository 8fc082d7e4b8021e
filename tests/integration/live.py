"""A running window with every class of dirt, and a dry run of it at the same moment, on a copy of the database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engage import live
from engage.campaigns import live_window
from engage.campaigns.live_window import LiveWindow
from engage.campaigns.run_options import RunOptions
from engage.settings import Settings, validate
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.storage import connection
from engage.storage.schema import (
    LOG_TIMES,
    app_event,
    app_session,
    customer_activity,
    customer_bucket,
    purchase,
    refund,
)
from engage.window import Window
from tests.integration.conftest import UNGUARDED, Server, World

DAY = timedelta(days=1)
UNKNOWN = 999
"""An id that no customer has."""


@dataclass
class Running:
    """A window that is still running at ``now``."""

    world: World
    server: Server

    @property
    def window(self) -> Window:
        return self.world.window

    @property
    def now(self) -> datetime:
        return self.world.now

    def at(self, days: float) -> datetime:
        """A moment of the window."""
        return self.window.start + days * DAY

    def compute(self, *, as_of: datetime | None = None, **settings: Any) -> LiveWindow:
        return live.compute(self.world.engine, validate(UNGUARDED | settings), as_of=as_of or self.now)

    def kept(self) -> LiveWindow | None:
        with self.world.engine.connect() as conn:
            return live_window.find(conn)

    @contextmanager
    def dry_run(self, **settings: Any) -> Iterator[World]:
        """A copy of the database without the events after ``now``, and the window's dry run in it."""
        self.world.engine.dispose()  # a database in use cannot be copied
        with self.server.clone(str(self.world.engine.url.database)) as url:
            engine = connection.connect(url)
            with engine.begin() as conn:
                for log, time in LOG_TIMES.items():
                    conn.execute(sa.delete(log).where(time > self.now))
            copy = World(engine, self.window, now=self.window.end)
            extract(
                engine, self.window, _chosen(settings), as_of=copy.now, run_id="dry", options=RunOptions(dry_run=True)
            )
            aggregate(engine, self.window)
            bucket(engine, self.window)
            yield copy
            engine.dispose()

    def live_rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """What is computed so far, by table, in the customers' order."""
        return {
            table: self.world.rows(f"SELECT * FROM {table} ORDER BY 2") for table in ("live_activity", "live_bucket")
        }

    def soil(self, seed: int, customers: int = 60) -> None:
        """Events of these customers up to and around ``now``, with every class of dirt."""
        pick = random.Random(seed)
        late = [
            self.window.start - 400 * DAY,
            self.at(3),
            self.now,
            self.now + DAY,
            self.window.end,
            self.window.end + DAY,
        ]
        ids: list[int | None] = [
            self.world.customer(registered_at=pick.choice([late[0], *late])) for _ in range(customers)
        ]
        ids = [*ids[: customers * 9 // 10], None, UNKNOWN]  # some customers have no event
        moments = [
            None,
            self.window.start,
            self.window.start - timedelta(microseconds=1),
            self.now,
            self.now + timedelta(microseconds=1),
            self.window.end - timedelta(microseconds=1),
            self.window.end,
            *(self.at(pick.random() * 56) for _ in range(40)),
        ]
        cents = [None, -1, 0, 1, 9_999, 10_000, 10**12, 10**12 + 1]
        kinds = ("viewed", "liked", "added_to_basket")
        with self.world.engine.begin() as conn:
            for _ in range(customers * 12):
                who, when = pick.choice(ids), pick.choice(moments)
                conn.execute(sa.insert(app_session).values(customer_id=who, started_at=when))
            for log, column in ((purchase, "purchased_at"), (refund, "refunded_at")):
                for _ in range(customers * (4 if log is purchase else 1)):
                    row = {
                        "customer_id": pick.choice(ids),
                        column: pick.choice(moments),
                        "amount_cents": pick.choice(cents),
                    }
                    conn.execute(sa.insert(log).values(**row))
            for _ in range(customers * 3):
                row = {"customer_id": pick.choice(ids), "occurred_at": pick.choice(moments), "kind": pick.choice(kinds)}
                conn.execute(sa.insert(app_event).values(item_id=pick.choice(["pie", "tea", ""]), **row))


def _chosen(settings: dict[str, Any]) -> Settings:
    return validate(UNGUARDED | settings)


def of_campaign(copy: World) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the window's campaign, in the order of ``Running.live_rows``."""
    return {
        name: copy.rows(sa.select(table).where(table.c.window_start == copy.window.start).order_by(table.c.customer_id))
        for name, table in (("live_activity", customer_activity), ("live_bucket", customer_bucket))
    }
