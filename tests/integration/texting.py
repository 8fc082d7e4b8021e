"""A campaign of customers in New York that is texted through the provider's double, as a test drives and reads it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns.run_options import RunOptions
from engage.sending import ledger, queue, sender
from engage.sending.providers.twilio.provider import TwilioProvider
from engage.steps.message import message
from tests.phones import fictional_phone

NOON_IN_NEW_YORK = datetime(2026, 11, 10, 17, tzinfo=UTC)


class Texting:
    """Steps return it, so that they chain; ``world.now`` is the time."""

    def __init__(self, world, double):
        world.now = NOON_IN_NEW_YORK
        self.world, self.double = world, double
        self.timeout = 5.0

    def customers(self, number):
        for n in range(number):
            self.world.purchase(self.world.customer(phone=fictional_phone(n), time_zone="America/New_York"), 100)
        return self

    def queued(self, **settings):
        """A new campaign, with its messages queued."""
        self.world.execute(sa.text("DELETE FROM message"))
        self.world.execute(sa.text("DELETE FROM campaign"))
        self.world.computed(sms_provider="twilio", min_days_between_messages="0", **settings)
        queue.build(self.world.engine, self.world.window, options=RunOptions(), as_of=self.world.now)
        return self

    def context(self, current=None):
        return sender.SendingContext(
            lambda: self.world.now, lambda name: TwilioProvider(self.double.account, self.timeout), current
        )

    def send(self, current=None):
        return sender.send(self.world.engine, self.world.window, self.context(current))

    def rerun(self, **options):
        return message(self.world.engine, self.world.window, options=RunOptions(**options), context=self.context())

    def statuses(self):
        return Counter(self.world.ledger().values())

    def listed(self, status):
        with self.world.engine.connect() as conn:
            return {entry.customer_id for entry in ledger.entries(conn, self.world.window, status=status)}

    def texted(self):
        """Customers by how many POSTs came for them."""
        ids = {fictional_phone(n): n + 1 for n in range(2200)}
        return Counter({ids[phone]: count for phone, count in self.double.texted.items()})


def mailed(texting):
    """Mail the alerts that wait; returns their subjects."""
    subjects = []
    alert_outbox.deliver(
        texting.world.engine, lambda waiting: subjects.append(waiting.alert.subject), lambda: texting.world.now
    )
    return subjects
