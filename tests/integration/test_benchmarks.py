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


def test_the_earlier_aggregate_has_the_same_rows_whatever_else_is_counted(bench, world):
    bench.prepare_earlier_aggregate()
    with bench.window_before(), bench.app_events():
        bench.step("earlier aggregate")
        bench.step("aggregate")
    bench.compare_earlier_aggregate()
    added = "SELECT sum(viewed) > 0 AND sum(liked) > 0, count(previous_segment) FROM customer_activity"
    assert world.rows(added) == [(True, 50)]
    bench.run("UPDATE earlier_activity SET sessions = sessions + 1 WHERE customer_id = 7")
    with pytest.raises(Mismatch, match="1 rows of earlier_activity differ"):
        bench.compare_earlier_aggregate()
    assert world.value("SELECT count(*) FROM app_event") == 0
    assert len(world.rows("SELECT DISTINCT window_start FROM customer_bucket")) == 1
    bench.forget_earlier_aggregate()
    assert world.value("SELECT count(*) FROM customer_activity") == 0


def test_the_floor_scans_exactly_the_windows_rows(bench, world):
    world.sessions(1, at=world.window.end)
    world.sessions(1, at=None)
    events = world.value("SELECT events FROM campaign")
    assert bench.events == sum(events.values())


def test_landing_writes_the_aggregates_with_their_key_and_leaves_nothing(bench, world):
    told = []
    sa.event.listen(bench.engine, "before_cursor_execute", lambda *call: told.append(call[2]))
    assert bench.landing() > 0
    assert "PRIMARY KEY (customer_id, window_start)" in "".join(told)
    assert world.value("SELECT to_regclass('landed')") is None


def test_the_rate_is_measured_over_a_message_to_everybody(url, world):
    found = pace.send(World(world.engine, sa.make_url(url), world.window, 20))
    assert found["messages"] == 20
