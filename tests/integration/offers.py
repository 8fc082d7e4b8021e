"""Offers and their codes, as a test adds and reads them."""

from __future__ import annotations

import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.customers.profile import opt_out
from engage.sending import offer_pool, queue, sender
from engage.sending.sender import SendingContext
from engage.storage.schema import offer_code

TEXT = "Show {{ offer_code }}. Reply STOP"


class Offers:
    """The offers of a world. Its campaigns text BOOST a code of ``summer``, and REWARD none."""

    def __init__(self, world):
        self.world = world

    def add(self, *codes, offer="summer", expires_at=None):
        with self.world.engine.begin() as conn:
            return offer_pool.add(conn, offer, codes, expires_at=expires_at, as_of=self.world.now)

    def make(self, count, offer="summer", expires_at=None):
        with self.world.engine.begin() as conn:
            return offer_pool.generate(conn, offer, count, expires_at=expires_at, as_of=self.world.now)

    def bought(self, customers, **values):
        for _ in range(customers):
            self.world.purchase(self.world.customer(**values), 100)

    def computed(self, **settings):
        return self.world.computed(**{"offer": "summer", "message_boost": TEXT} | settings)

    def queued(self, **options):
        world = self.world
        return queue.build(world.engine, world.window, options=RunOptions(**options), as_of=world.now)

    def send(self):
        """Send what is queued, without queueing anew."""
        return sender.send(self.world.engine, self.world.window, SendingContext(lambda: self.world.now))

    def opt_out(self, customer_id):
        with self.world.engine.begin() as conn:
            opt_out(conn, customer_id, as_of=self.world.now)

    def given(self, column="code"):
        """A column of the given codes by customer."""
        rows = self.world.rows(
            sa.select(offer_code.c.customer_id, offer_code.c[column]).where(offer_code.c.window_start.is_not(None))
        )
        return dict(rows)

    def free(self):
        return {code for (code,) in self.world.rows("SELECT code FROM offer_code WHERE window_start IS NULL")}

    def bodies(self):
        return dict(self.world.rows("SELECT customer_id, body FROM message WHERE body IS NOT NULL"))


def computed_before(offers, in_window):
    """The offers of the window before; the campaigns of both windows are computed, and may be queued."""
    earlier = Offers(in_window(offers.world.window.previous()))
    earlier.world.purchase(1, 100)
    for each in (earlier, offers):
        each.computed(min_days_between_messages="0", send_within_days="100")
    return earlier


def reward(world, customers):
    """Customers in REWARD, whose text names no code."""
    for _ in range(customers):
        id_ = world.customer()
        world.sessions(id_, 48)
        world.purchase(id_, 200_00)
