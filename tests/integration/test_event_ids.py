"""Event ids in the database: each is claimed once, by however many transactions at the same time."""

import random
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from engage.storage.event_ids import claim, event_key, known
from tests.waiting import until

ONE, TWO, THREE = (event_key("purchase", "the app", name) for name in ("1", "2", "3"))


def claimed(world, *keys):
    with world.engine.begin() as conn:
        return claim(conn, keys, world.now)


def test_a_key_is_new_once(world):
    assert claimed(world, ONE, TWO) == {ONE, TWO}
    assert claimed(world, TWO, THREE) == {THREE}
    assert claimed(world, ONE, TWO, THREE) == set()
    assert world.value("SELECT count(*) FROM event_id") == 3


def test_a_key_that_is_given_twice_is_claimed_once(world):
    assert claimed(world, ONE, ONE) == {ONE}


def test_without_keys_there_is_no_query(world):
    with world.engine.connect() as conn:
        sa.event.listen(conn, "before_cursor_execute", lambda *_: 1 / 0)
        assert claim(conn, [], world.now) == known(conn, []) == set()


def test_known_keys_are_those_that_were_claimed(world):
    claimed(world, ONE)
    with world.engine.begin() as conn:
        claim(conn, [TWO], world.now)
        assert known(conn, [ONE, TWO, THREE]) == {ONE, TWO}
        conn.rollback()
    with world.engine.connect() as conn:
        assert known(conn, [ONE, TWO, THREE]) == {ONE}


def test_the_same_id_of_another_kind_or_owner_is_another_key():
    keys = {event_key(kind, owner, name) for kind in ("a", "ab") for owner in ("b", "bc") for name in ("c", "d")}
    assert len(keys) == 8


def test_a_key_that_another_transaction_is_claiming_is_waited_for(world):
    for commit in (True, False):
        key = event_key("session", "the app", str(commit))
        with ThreadPoolExecutor() as pool, world.engine.connect() as conn:
            claim(conn, [key], world.now)
            other = pool.submit(claimed, world, key)
            until(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1, "the other waits")
            conn.commit() if commit else conn.rollback()
            assert other.result() == (set() if commit else {key})


def test_claims_in_any_order_at_once_do_not_deadlock_and_each_key_is_new_once(world):
    keys = [event_key("session", "the app", str(n)) for n in range(2_000)]
    parts = [random.Random(n).sample(keys, (200, 600, 2_000)[n % 3]) for n in range(48)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda part: claimed(world, *part), parts))
    assert sorted(key for new in found for key in new) == sorted(keys)
