"""Measures how evenly messages go out at a given rate, to a provider with a slow answer.

``python -m benchmarks.pace`` measures how many go out at most: docs/sending-at-scale.md.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from benchmarks.step import HASH_KEY, now
from benchmarks.world import HOME, World
from benchmarks.world import world as world_of
from engage import process_signals
from engage.campaigns.run_options import RunOptions
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.sending import queue
from engage.settings import Settings
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.storage.schema import customer, purchase
from engage.texts.phone import phone_hash
from tests.phones import fictional_phone
from tests.twilio_double import twilio_double

RATE, ANSWER_AFTER, MESSAGES = 100, 0.05, 1_500
AT_ONCE = 10
MOST, MOST_AT_ONCE = 2_200, 100
"""Messages without a rate: as many as there are fictional phones, as many at once as a setting allows."""


def measure(host: str) -> dict[str, Any]:
    """Send from a database of its own. Returns the average rate, and the rate of each second."""
    with world_of(host, MESSAGES) as world:
        return send(world)


def send(world: World, rate: int = RATE, at_once: int = AT_ONCE) -> dict[str, Any]:
    """Send to a server on this machine that speaks Twilio's API, one message to each of the world's customers."""
    with twilio_double() as double:
        _queued(world, rate, at_once)
        double.delay = ANSWER_AFTER
        os.environ["ENGAGE_SMS_URL"] = double.sms_url
        try:
            world.step("send")
        finally:
            del os.environ["ENGAGE_SMS_URL"]
        times = sorted(post.at for post in double.posts)
    seconds = Counter(int(at - times[0]) for at in times)
    return {
        "asked": rate,
        "answer_after": ANSWER_AFTER,
        "messages": len(times),
        "average": (len(times) - 1) / (times[-1] - times[0]),
        "each_second": [seconds[second] for second in range(int(times[-1] - times[0]))],
    }


def _queued(world: World, rate: int, at_once: int) -> None:
    """Store made-up customers, and a campaign with their messages queued."""
    pace = {"messages_per_second": rate, "send_concurrency": at_once}
    settings = Settings(sms_provider="twilio", sending_hours="0:00-24:00", **pace)
    bought, since = world.window.end - timedelta(days=1), world.window.start - timedelta(days=30)
    phones = [fictional_phone(n) for n in range(world.customers)]
    people = [
        {"customer_id": n, "registered_at": since, "consent_at": since, "phone": phone}
        | {"phone_hash": phone_hash(phone, HASH_KEY), "time_zone": "America/New_York"}
        for n, phone in enumerate(phones)
    ]
    bills = [{"customer_id": n, "purchased_at": bought, "amount_cents": 100} for n in range(world.customers)]
    with world.engine.begin() as conn:
        conn.execute(sa.insert(customer), people)
        conn.execute(sa.insert(purchase), bills)
    extract(world.engine, world.window, settings, as_of=now(), run_id="benchmark", options=RunOptions())
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    queue.build(world.engine, world.window, options=RunOptions(send_late=True), as_of=now())


def main() -> None:
    """Send as fast as one process can."""
    with embedded_postgres.postgres(Home(HOME)) as host, world_of(host, MOST) as world:
        found = send(world, rate=0, at_once=MOST_AT_ONCE)
    sys.stdout.write(f"{found['messages']:,} messages, {found['average']:.0f} a second, {MOST_AT_ONCE} at once\n")


if __name__ == "__main__":
    process_signals.interrupt_on_signals()
    main()
