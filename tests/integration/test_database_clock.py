"""Ages go by the database's clock, whatever a machine's own clock says."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from engage.sending import claims, takeover
from engage.sending.providers import SandboxProvider
from engage.storage import connection
from engage.storage.database_clock import DatabaseClock


def off(engine, moment):
    """Seconds between a moment and the database's time."""
    with engine.connect() as conn:
        return abs((conn.execute(sa.text("SELECT clock_timestamp()")).scalar_one() - moment).total_seconds())


@pytest.mark.parametrize("wrong", [timedelta(minutes=-20), timedelta(days=-8), timedelta(hours=3)])
def test_a_machine_whose_clock_is_wrong_tells_the_databases_time_and_says_so(engine, caplog, wrong):
    with time_machine.travel(datetime.now(UTC) + wrong):
        clock = DatabaseClock(engine)
        assert off(engine, clock()) < 5
        assert abs(clock.off - wrong.total_seconds()) < 5
        clock.measure()
    [warning] = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{abs(wrong.total_seconds()):.0f}"[:-1] in warning
    assert ("ahead of" if wrong > timedelta(0) else "behind") in warning


def test_a_machine_whose_clock_is_right_says_nothing(engine, caplog):
    clock = DatabaseClock(engine)
    assert abs(clock.off) < 5
    assert not caplog.records


def test_while_the_database_is_away_the_machines_own_clock_counts(caplog):
    nowhere = connection.connect("postgresql://nobody@127.0.0.1:9/none?connect_timeout=1")
    assert abs((DatabaseClock(nowhere)() - datetime.now(UTC)).total_seconds()) < 5
    assert "cannot be read" in caplog.text


def test_a_sender_that_is_20_minutes_behind_claims_at_the_databases_time(world):
    world.purchase(world.customer(), 100)
    world.computed()
    from engage.campaigns.run_options import RunOptions
    from engage.sending import queue

    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=20)):
        clock = DatabaseClock(world.engine)
        owned = takeover.take_over(world.engine, world.window, lambda name: SandboxProvider(), clock())
        claims.claim(world.engine, owned, [1], clock())
    assert off(world.engine, world.value("SELECT sending_at FROM message")) < 60
