"""Runs of several windows, or of one window twice, at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from engage.campaigns.run_options import RunOptions
from engage.sending.sender import SendingContext
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.message import message
from engage.steps.seed import seed

KEY = b"k" * 32


@pytest.fixture
def template():
    return "installed"


def campaign(world):
    seed(world.engine, world.window, 200, 1, hash_key=KEY)
    world.extract()
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    return message(
        world.engine, world.window, options=RunOptions(send_late=True), context=SendingContext(lambda: world.now)
    )


def test_four_windows_at_once_give_what_they_give_one_by_one(world, in_window):
    worlds = [world]
    while len(worlds) < 4:
        worlds.append(in_window(worlds[-1].window.previous()))
    with ThreadPoolExecutor() as pool:
        summaries = list(pool.map(campaign, worlds))
    for each, summary in zip(worlds, summaries, strict=True):
        start = each.window.start.isoformat()
        for table in ("customer_activity", "customer_bucket"):
            assert world.value(f"SELECT count(*) FROM {table} WHERE window_start = '{start}'") == 200
        assert summary.by_status.keys() <= {"accepted", "skipped"}
    assert world.value("SELECT count(*) = count(DISTINCT (window_start, customer_id)) FROM message")
    assert world.value("SELECT count(*) FROM campaign WHERE status = 'complete'") == 4


def test_one_window_run_twice_at_once_texts_every_customer_once(world):
    seed(world.engine, world.window, 200, 1, hash_key=KEY)
    world.computed()
    before = world.dump("customer_bucket")

    def run(_):
        world.computed()
        return world.message()

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(_tolerant(run), range(3)))
    # a sender that was overtaken reports nothing, but what the provider answered it still counts
    accepted = world.value("SELECT count(DISTINCT provider_message_id) FROM message WHERE status = 'accepted'")
    assert accepted == world.value("SELECT count(*) FROM message WHERE reason IS NULL")
    assert sum(result.accepted_now for result in results if result) <= accepted
    assert world.value("SELECT count(*) = count(DISTINCT (window_start, customer_id)) FROM message")
    assert world.value("SELECT count(*) FROM message WHERE status IN ('queued', 'sending')") == 0
    assert world.dump("customer_bucket") == before


def _tolerant(run):
    """A run that another overtakes may stop with one of Engage's own errors, and with no other."""
    from engage.errors import EngageError

    def tolerant(number):
        try:
            return run(number)
        except EngageError:
            return None

    return tolerant
