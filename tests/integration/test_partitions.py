import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.storage import partitions
from engage.storage.schema import customer_bucket


@pytest.fixture
def template():
    return "installed"


def buckets_of(window, count, bucket="NONE"):
    """Rows of customer_bucket for customers 1..count."""
    ids = sa.func.generate_series(1, count).table_valued("customer_id").render_derived()
    return sa.select(
        sa.cast(window.start, sa.DateTime(timezone=True)).label("window_start"),
        sa.cast(ids.c.customer_id, sa.BigInteger).label("customer_id"),
        sa.cast(bucket, sa.Text).label("bucket"),
        sa.cast(0, sa.BigInteger).label("total_spend_cents"),
        sa.cast(0, sa.Double).label("avg_weekly_sessions"),
        *(sa.cast(sa.null(), c.type).label(c.name) for c in customer_bucket.columns if c.nullable),
    )


def last_windows(world, number):
    windows = [world.window]
    while len(windows) < number:
        windows.append(windows[-1].previous())
    return windows


def replace(engine, window, count, bucket="NONE"):
    with engine.begin() as conn:
        partitions.replace(conn, customer_bucket, window, buckets_of(window, count, bucket))


def test_rows_of_a_window_without_partition_are_moved_out_of_default(world, engine):
    world.sessions(1, 3)
    world.sessions(2, 2, at=world.window.end - timedelta(microseconds=1))
    world.sessions(3, at=world.window.end)
    world.sessions(4, at=None)
    partitions.ensure_windows(engine, [world.window])
    assert world.value(f"SELECT count(*) FROM app_session_{world.window.key}") == 5
    assert world.value("SELECT count(*) FROM app_session_default") == 1
    assert world.value("SELECT count(*) FROM app_session") == 7


def test_ensuring_twice_is_the_same_as_once(world, engine):
    partitions.ensure_windows(engine, [world.window])
    world.sessions(1)
    partitions.ensure_windows(engine, [world.window])
    assert world.value("SELECT count(*) FROM app_session") == 1


def test_windows_ensured_at_once_by_many_all_come_to_be(world, engine):
    windows = last_windows(world, 6)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda window: partitions.ensure_windows(engine, [window]), windows * 2))
    names = set(sa.inspect(engine).get_table_names())
    assert {f"purchase_{window.key}" for window in windows} <= names


def test_ensuring_waits_for_no_open_writer_of_another_window(world, engine):
    with engine.begin() as conn:
        conn.execute(sa.text("INSERT INTO app_session VALUES (1, :at)"), {"at": world.window.end})
        partitions.ensure_windows(engine, [world.window])
    assert f"app_session_{world.window.key}" in sa.inspect(engine).get_table_names()


def test_replacing_twice_leaves_only_the_last_rows(world, engine):
    replace(engine, world.window, 5)
    replace(engine, world.window, 3, "BOOST")
    assert world.rows("SELECT bucket, count(*) FROM customer_bucket GROUP BY 1") == [("BOOST", 3)]


def test_replacing_leaves_other_windows_alone(world, engine):
    replace(engine, world.window, 5)
    replace(engine, world.window.previous(), 2)
    assert world.value("SELECT count(*) FROM customer_bucket") == 7


def test_a_replaced_partition_has_the_key_and_the_constraints_of_its_parent(world, engine):
    replace(engine, world.window, 1)
    replace(engine, world.window, 1)
    inspector = sa.inspect(engine)
    name = f"customer_bucket_{world.window.key}"
    assert inspector.get_pk_constraint(name)["constrained_columns"] == ["customer_id", "window_start"]
    assert inspector.get_pk_constraint(name)["name"] == f"{name}_pkey"
    nullable = [[c["name"] for c in inspector.get_columns(t) if c["nullable"]] for t in (name, "customer_bucket")]
    assert nullable[0] == nullable[1] == []
    assert inspector.get_check_constraints(name) == []
    assert not [table for table in inspector.get_table_names() if "fresh" in table]


def test_a_failed_replacement_leaves_the_old_rows(world, engine):
    replace(engine, world.window, 5)
    twice = sa.select(sa.union_all(buckets_of(world.window, 1), buckets_of(world.window, 1)).subquery())
    with engine.begin() as conn, pytest.raises(sa.exc.IntegrityError):
        partitions.replace(conn, customer_bucket, world.window, twice)
    assert world.value("SELECT count(*) FROM customer_bucket") == 5


def test_a_replacement_outlasts_a_reader_that_holds_the_table(world, engine):
    replace(engine, world.window, 5)
    reading, read = threading.Event(), threading.Event()

    def read_slowly():
        with engine.begin() as conn:
            conn.execute(sa.text("SELECT count(*) FROM customer_bucket"))
            reading.set()
            read.wait(3)  # longer than the lock timeout, so that the swap has to try again

    reader = threading.Thread(target=read_slowly)
    reader.start()
    reading.wait()
    replace(engine, world.window, 2)
    reader.join()
    assert world.value("SELECT count(*) FROM customer_bucket") == 2


def test_many_windows_replaced_at_once_do_not_deadlock(world, engine):
    windows = last_windows(world, 4)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda window: replace(engine, window, 100), windows * 5))
    assert world.value("SELECT count(*) FROM customer_bucket") == 400


def test_clearing_a_window_that_has_no_rows_does_nothing(world, engine):
    with engine.begin() as conn:
        partitions.clear(conn, customer_bucket, world.window)
    assert world.value("SELECT count(*) FROM customer_bucket") == 0


def test_the_planner_knows_a_partition_as_soon_as_it_is_there(world, engine):
    replace(engine, world.window, 500)
    name = f"customer_bucket_{world.window.key}"
    assert world.value(f"SELECT reltuples FROM pg_class WHERE relname = '{name}'") == 500
