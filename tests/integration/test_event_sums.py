"""The sums of another engine in Postgres: the same results, whatever the engine; and what may have changed meanwhile.

The engine here is Postgres itself, which runs the statements that Spark gets. Spark is in test_spark.py beside it.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from benchmarks import dirt
from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.errors import GuardStop, NotReady, NoValidEvents, SparkError
from engage.settings import validate
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.storage import binary_copy, partitions
from engage.storage.schema import app_session
from tests.integration.conftest import UNGUARDED
from tests.integration.sums import OfFiles, OfPostgres

RESULTS = ("customer_activity", "customer_bucket")
DAYS = "SELECT day, source, events FROM daily_volume ORDER BY day, source"
LEFT = "SELECT count(*) FROM pg_class WHERE relname LIKE 'event_sums%' OR relname LIKE 'event_favourites%'"
FAVOURITE = {"message_boost": "Time for {{ favourite_item }}? Reply STOP to opt out."}


def counted(world, sums, **settings):
    chosen = validate(UNGUARDED | {"engine": "spark"} | settings)
    return extract(
        world.engine, world.window, chosen, as_of=world.now, run_id="test", options=RunOptions(), sums=lambda: sums
    )


def computed(world, sums=None, **settings):
    """Run the campaign up to its buckets. Returns its results, and what the record says of events."""
    if sums is None:
        world.extract(**settings)
        aggregate(world.engine, world.window)
    else:
        counted(world, sums, **settings)
        aggregate(world.engine, world.window, lambda: sums)
    bucket(world.engine, world.window)
    return results(world)


def results(world):
    return world.dump(*RESULTS), world.rows("SELECT events, rejected, customers, buckets FROM campaign")


def test_the_results_are_those_of_postgres_with_every_class_of_dirt(world):
    dirt.fill(world.engine, world.window, 1000)
    expected = computed(world, **FAVOURITE)
    assert computed(world, OfPostgres(world.engine), **FAVOURITE) == expected
    [(_, rejected, *_)] = expected[1]
    assert all(rejected.values())
    assert world.value("SELECT count(*) FROM customer_activity WHERE favourite_item IS NOT NULL") > 0
    assert world.value(LEFT) == 0


def test_a_window_whose_events_are_in_files_only_has_the_same_results(world):
    dirt.fill(world.engine, world.window, 1000)
    expected = computed(world)
    days = world.rows(DAYS)
    found = computed(world, OfFiles(world.engine, world.window))
    assert found == expected
    assert world.rows(DAYS) == days


def test_it_is_summed_up_while_nobody_waits_for_the_campaign(world):
    world.sessions(world.customer())
    looked = []

    def look():
        with world.engine.begin() as conn:
            looked.append(campaign.find(conn, world.window, lock=True))

    counted(world, OfPostgres(world.engine))
    aggregate(world.engine, world.window, lambda: OfPostgres(world.engine, look))
    assert len(looked) == 1  # with a lock held, the look would wait for ever


# --- what may change meanwhile


def test_an_event_that_came_after_the_archive_was_written_stops_the_run(world):
    ada = world.customer()
    world.sessions(ada, 3)
    counted(world, OfPostgres(world.engine))
    late = OfPostgres(world.engine, lambda: world.purchase(ada, 100))
    with pytest.raises(SparkError, match=r"the archive has 0 rows of purchase, and Postgres has 1\. Events came"):
        aggregate(world.engine, world.window, lambda: late)
    assert world.value("SELECT status FROM campaign") == "extracted"
    aggregate(world.engine, world.window, lambda: OfPostgres(world.engine))
    assert world.value("SELECT events FROM campaign") == {"sessions": 3, "purchases": 1}


def test_late_events_do_not_make_up_for_those_of_a_forgotten_customer(world):
    """Both change a piece, and chance puts these two customers in different ones."""
    ada, ben = world.customer(), world.customer()
    world.sessions(ada, 3)
    counted(world, OfPostgres(world.engine))

    def meanwhile():
        world.execute(sa.delete(app_session).where(app_session.c.customer_id == ada))
        world.sessions(ben, 3)

    with pytest.raises(
        SparkError, match=r"has 3 rows of app_session, and Postgres has 3 in other pieces\. Events came"
    ):
        aggregate(world.engine, world.window, lambda: OfPostgres(world.engine, meanwhile))


def test_files_that_changed_after_extract_counted_them_stop_the_run(world):
    ada = world.customer()
    world.sessions(ada, 3)
    before = OfFiles(world.engine, world.window)
    counted(world, before)
    world.sessions(ada, 4)
    after = OfFiles(world.engine, world.window)
    with pytest.raises(SparkError, match=r"extract counted 3 sessions, 0 purchases in .* aggregate 4 sessions"):
        aggregate(world.engine, world.window, lambda: after)


def test_sums_are_never_taken_from_postgres_for_a_campaign_of_another_engine(world, monkeypatch):
    """As if ``extract`` had opened the campaign after ``aggregate`` looked for it."""
    world.sessions(world.customer())
    counted(world, OfPostgres(world.engine))
    monkeypatch.setattr("engage.steps.aggregate._summed", lambda *about: (None, None))
    with pytest.raises(NotReady, match="extract has run again for the window"):
        aggregate(world.engine, world.window)


def test_another_extract_meanwhile_has_the_task_retried(world):
    world.sessions(world.customer())
    again = OfPostgres(world.engine, lambda: counted(world, None, low_spend_threshold="7"))
    counted(world, OfPostgres(world.engine))
    with pytest.raises(NotReady, match="extract has run again for the window"):
        aggregate(world.engine, world.window, lambda: again)


def test_a_campaign_that_is_frozen_meanwhile_stays_as_it_is(world):
    world.sessions(world.customer())
    computed(world)
    counted(world, OfPostgres(world.engine))
    freeze = sa.text("UPDATE campaign SET frozen_at = opened_at")
    before = world.dump("customer_activity")
    done = aggregate(world.engine, world.window, lambda: OfPostgres(world.engine, lambda: world.execute(freeze)))
    assert done.frozen
    assert world.dump("customer_activity") == before


def test_a_frozen_campaign_asks_no_engine(world):
    world.sessions(world.customer())
    computed(world, OfPostgres(world.engine))
    world.execute(sa.text("UPDATE campaign SET frozen_at = opened_at"))
    assert counted(world, None).frozen
    assert aggregate(world.engine, world.window, None).frozen


def test_a_step_that_fails_leaves_no_table(world, monkeypatch):
    world.sessions(world.customer())
    counted(world, OfPostgres(world.engine))
    monkeypatch.setattr(partitions, "swap_in", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        aggregate(world.engine, world.window, lambda: OfPostgres(world.engine))
    assert world.value(LEFT) == 0


# --- what extract checks in files


def test_files_without_a_valid_event_stop_the_run(world):
    world.customer()
    world.sessions(None)
    world.refund(1, 100)
    with pytest.raises(NoValidEvents, match="1 missing_customer"):
        counted(world, OfFiles(world.engine, world.window))


def test_the_guard_judges_the_newest_event_in_files(world):
    world.sessions(world.customer(), at=world.window.end - timedelta(days=10))
    with pytest.raises(GuardStop, match=r"10\.0 days before the window's end"):
        counted(world, OfFiles(world.engine, world.window), guard_max_quiet_days=3)
    world.sessions(1, at=world.window.end - timedelta(days=2))
    counted(world, OfFiles(world.engine, world.window), guard_max_quiet_days=3)
    assert world.value("SELECT guard -> 'findings' FROM campaign") == []


def test_without_airflow_there_is_no_engine(world):
    world.customer()
    chosen = validate(UNGUARDED | {"engine": "spark"})
    with pytest.raises(SparkError, match="engage_engine is spark, whose server a connection of Airflow names"):
        extract(world.engine, world.window, chosen, as_of=world.now, run_id="cli", options=RunOptions())


def test_nulls_and_numbers_land_as_they_are(world):
    most = np.array([0, -1, 2**63 - 1, -(2**63)] * 60_000)
    nulls = np.arange(len(most)) % 3 == 0
    table = sa.Table("landed", sa.MetaData(), sa.Column("a", sa.BigInteger), sa.Column("b", sa.BigInteger))
    with world.engine.begin() as conn:
        table.create(conn)
        binary_copy.copy_columns(conn, table, [most, most], [nulls, ~nulls])
        found = conn.execute(sa.select(table)).all()
    expected = [
        (None if null else n, n if null else None) for n, null in zip(most.tolist(), nulls.tolist(), strict=True)
    ]
    assert [tuple(row) for row in found] == expected
