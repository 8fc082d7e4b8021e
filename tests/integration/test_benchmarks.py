"""The benchmark compares results as well as times."""

import pytest
import sqlalchemy as sa

from benchmarks import pace
from benchmarks.peers import KEYS, LANDING, row_by_row
from benchmarks.world import Mismatch, World
from engage.steps.seed import seed

KEY = b"k" * 32


@pytest.fixture
def bench(world, url):
    seed(world.engine, world.window, 50, 1, hash_key=KEY)
    world.computed()
    found = World(world.engine, sa.make_url(url), world.window, 50)
    found.run(LANDING)
    return found


def test_a_peer_with_the_same_rows_passes(bench, url, world):
    row_by_row(url, world.window)
    bench.run(KEYS)
    bench.compare("row by row")


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE peer_activity SET sessions = sessions + 1 WHERE customer_id = 7",
        "DELETE FROM peer_activity WHERE customer_id = 7",
        "UPDATE peer_bucket SET bucket = 'NOBODY' WHERE customer_id = 7",
        "INSERT INTO peer_bucket SELECT window_start, 51, bucket, 0, 0 FROM peer_bucket WHERE customer_id = 7",
    ],
)
def test_a_peer_with_another_row_fails_the_run(bench, url, world, spoil):
    row_by_row(url, world.window)
    bench.run(spoil)
    with pytest.raises(Mismatch, match=r"1 rows of peer_(activity|bucket) differ"):
        bench.compare("row by row")


def test_the_floor_scans_exactly_the_windows_rows(bench, world):
    world.sessions(1, at=world.window.end)
    world.sessions(1, at=None)
    events = world.value("SELECT events FROM campaign")
    assert bench.events == sum(events.values())


def test_the_rate_is_measured_over_a_message_to_everybody(url, world):
    found = pace.send(World(world.engine, sa.make_url(url), world.window, 20))
    assert found["messages"] == 20
