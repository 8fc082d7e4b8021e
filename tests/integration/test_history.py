"""A customer's history over windows: what ``aggregate`` carries on, and what a rebuild computes again, are the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import history_rebuild
from engage.campaigns.history import COLUMNS
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.storage.schema import customer_activity
from engage.window import LENGTH, Window
from tests.integration.conftest import World
from tests.integration.history_model import Model

WINDOWS = 6
UNKNOWN = 999
"""An id that no customer has."""


class Log:
    """A random log over six windows, in the database and in the model, and the windows computed in any order."""

    def __init__(self, world: World, in_window: Callable[[Window], World], seed: int) -> None:
        self.chance = random.Random(seed)
        last = world.window
        self.windows = [Window(last.start - back * LENGTH) for back in reversed(range(WINDOWS))]
        self.worlds = {window: in_window(window) for window in self.windows}
        self.world = world
        self.model = Model({})
        for customer_id in range(1, 13):
            since = self._time(-1) if customer_id < 5 else self._time()
            world.customer(customer_id=customer_id, registered_at=since)
            self.model.registered[customer_id] = since
        for window in self.windows:  # else extract would refuse a window without an event
            self._add("session", 1, window.start + timedelta(days=1))
        for _ in range(150):
            self.add()

    def add(self) -> None:
        """One more event, perhaps a dirty one."""
        customer_id = self.chance.choice([None, UNKNOWN, *self.model.registered, *self.model.registered])
        kind = self.chance.choice(["session", "session", "purchase", "purchase", "refund"])
        cents = self.chance.choice([None, -1, 0, 1, 99_99, 60_00, 60_00, 10**13])
        at = self._time() if self.chance.random() < 0.95 else None
        self._add(kind, customer_id, at, None if kind == "session" else cents)

    def compute(self) -> None:
        """Compute a window, at times without segments."""
        window = self.chance.choice(self.windows)
        self.worlds[window].extract()
        aggregate(self.world.engine, window)
        self.model.aggregate(window)
        if self.chance.random() < 0.8:
            bucket(self.world.engine, window)
            self.model.bucket(window)

    def compute_in_order(self) -> None:
        for window in self.windows:
            self.worlds[window].computed()
            self.model.aggregate(window)
            self.model.bucket(window)

    def check(self) -> None:
        """Each row of the database is the model's."""
        for window in self.model.rows:
            columns = (customer_activity.c[name] for name in ("customer_id", *COLUMNS))
            query = sa.select(*columns).where(customer_activity.c.window_start == window.start)
            found = {customer_id: tuple(values) for customer_id, *values in self.world.rows(query)}
            assert found == self.model.carried_on(window), window

    def rebuild(self) -> int:
        return sum(one.changed for one in history_rebuild.rebuild(self.world.engine))

    def _time(self, window: int | None = None) -> datetime:
        """At the edge of a window, or inside."""
        start = self.windows[0].start + LENGTH * (self.chance.randrange(WINDOWS) if window is None else window)
        edge = self.chance.choice([timedelta(0), LENGTH - timedelta(microseconds=1)])
        return start + (edge if self.chance.random() < 0.2 else LENGTH * self.chance.random())

    def _add(self, kind: str, customer_id: int | None, at: datetime | None, cents: int | None = None) -> None:
        self.model.events.append((kind, customer_id, at, cents))
        if kind == "session":
            self.world.sessions(customer_id, at=at)
        else:
            getattr(self.world, kind)(customer_id, cents, at=at)


def ran(world: World, in_window: Callable[[Window], World], seed: int, times: int) -> None:
    log = Log(world, in_window, seed)
    for _ in range(times):
        log.compute()
        if log.chance.random() < 0.3:
            log.add()
    log.check()
    assert log.rebuild() == log.model.rebuild()
    log.check()
    assert log.rebuild() == 0
    log.compute_in_order()
    log.check()
    assert log.rebuild() == 0
    log.check()


@pytest.mark.parametrize("seed", range(2))
def test_windows_in_any_order_carry_on_what_a_plain_count_of_their_events_gives(
    world: World, in_window: Callable[[Window], World], seed: int
) -> None:
    ran(world, in_window, seed, times=14)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(2, 14))
def test_many_more_orders_of_windows_carry_on_the_same(
    world: World, in_window: Callable[[Window], World], seed: int
) -> None:
    ran(world, in_window, seed, times=30)
