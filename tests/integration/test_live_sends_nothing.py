"""Whatever happens around a running window, no message comes of it, and no campaign knows of it."""

import contextlib
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engage import live
from engage.campaigns.run_options import RunOptions
from engage.errors import EngageError
from engage.sending import queue
from engage.settings import validate
from engage.storage import connection
from engage.window import Window
from tests.integration.conftest import NOW, UNGUARDED, World

ACTIONS = ("live", "run", "send", "queue", "dry_run", "events", "day", "weeks")
CAMPAIGNS = sa.text("SELECT window_start FROM campaign UNION SELECT window_start FROM customer_activity")
MESSAGES = sa.text(
    """SELECT m.window_start, m.customer_id FROM message AS m
       LEFT JOIN customer_bucket AS b USING (window_start, customer_id) WHERE b.customer_id IS NULL"""
)


class Chain:
    """A database in which an operator, the scheduler and time act upon the running window and the one before."""

    def __init__(self, engine):
        self.engine, self.now = engine, NOW
        world = World(engine, Window.last_complete(NOW))
        for cents in (1, 20_000, 30_000):
            world.purchase(world.customer(), cents)
        self.act("events", running=True)

    def act(self, action, *, running):
        """Do something to the running window or to the last complete one; a refusal is an answer, too."""
        window = Window.containing(self.now) if running else Window.last_complete(self.now)
        with contextlib.suppress(EngageError):
            getattr(self, f"_{action}")(World(self.engine, window, now=self.now))

    def _live(self, world):
        live.compute(self.engine, validate(UNGUARDED), as_of=self.now)

    def _run(self, world):
        world.computed(min_days_between_messages="0")
        world.message(send_late=True)

    def _send(self, world):
        world.message(send_late=True)

    def _queue(self, world):
        queue.build(self.engine, world.window, options=RunOptions(send_late=True), as_of=self.now)

    def _dry_run(self, world):
        world.computed()
        world.message(dry_run=True)

    def _events(self, world):
        world.purchase(1, 500, at=self.now - timedelta(hours=1))
        world.sessions(2, 45, at=self.now - timedelta(hours=2))

    def _day(self, world):
        self.now += timedelta(days=1)

    def _weeks(self, world):
        self.now += timedelta(weeks=5)

    def check(self):
        with self.engine.connect() as conn:
            assert all(Window(start).end <= self.now for (start,) in conn.execute(CAMPAIGNS))
            starts = conn.execute(sa.text("SELECT DISTINCT window_start FROM message")).scalars().all()
            assert all(Window(start).end <= self.now for start in starts)
            assert conn.execute(MESSAGES).all() == []
        return len(starts)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.booleans()), min_size=1, max_size=12))
@example(
    [("live", True), ("run", True), ("queue", True), ("send", True), ("weeks", True), ("weeks", True), ("send", False)]
)
@example(
    [("run", False), ("live", True), ("queue", True), ("weeks", True), ("weeks", True), ("run", False), ("live", True)]
)
def test_no_message_comes_of_a_live_window(server, actions):
    with server.clone("extracted") as url:
        engine = connection.connect(url)
        chain = Chain(engine)
        for action, running in actions:
            chain.act(action, running=running)
            chain.check()
        engine.dispose()


@pytest.mark.parametrize(("action", "texted"), [("run", 1), ("live", 0)])
def test_the_chain_sends_messages_of_a_campaign_and_none_of_a_live_window(engine, action, texted):
    chain = Chain(engine)
    chain.act(action, running=action == "live")
    assert chain.check() == texted
