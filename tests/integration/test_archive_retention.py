"""Retention with an archive: a window leaves Postgres once the archive has all of it, and can come back."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage import maintenance
from engage.archive import restore
from engage.archive.place import Place
from engage.archive.retention import KEEP_RESTORED
from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.errors import ArchiveError
from engage.settings import validate
from engage.steps.extract import extract
from engage.storage import partitions
from engage.storage.schema import app_event, app_session, purchase
from engage.window import LENGTH
from tests.integration.archiving import LOGS
from tests.integration.conftest import UNGUARDED
from tests.waiting import until


@pytest.fixture
def old(archiving):
    """A complete campaign whose window is past its retention, seen a window later."""
    world = archiving.world
    for customer_id in range(1, 11):
        world.customer(customer_id=customer_id)
    archiving.fill(10)
    world.computed()
    world.message()
    world.now += LENGTH
    return archiving


def name(archiving):
    return f"{archiving.world.window.start:%Y-%m-%d}"


def there(archiving):
    """The logs of which Postgres has the window's partition."""
    tables = set(sa.inspect(archiving.world.engine).get_table_names())
    return {log.name for log in LOGS if partitions.partition_name(log, archiving.world.window) in tables}


ALL = {log.name for log in LOGS}


def test_a_window_is_dropped_once_the_archive_has_all_of_it(old, caplog):
    with caplog.at_level(logging.WARNING):
        done = old.maintain()
    assert (done.dropped, done.unarchived, done.kept) == ([], [name(old)], [])
    assert "past their retention, but stay. The archive" in caplog.text
    assert "has no whole copy of app_session" in caplog.text
    assert there(old) == ALL
    old.write()
    before = {log: old.logged(log) for log in LOGS}
    done = old.maintain()
    assert (done.dropped, done.unarchived, done.kept) == ([name(old)], [], [])
    assert there(old) == set()
    for log in LOGS:
        assert old.archived(log) == before[log]


def test_without_an_archive_all_is_as_before(old):
    done = maintenance.maintain(old.world.engine, 1, as_of=old.world.now)
    assert (done.dropped, done.unarchived) == ([name(old)], [])


def test_a_late_event_keeps_a_window_until_it_is_archived_too(old, caplog):
    old.write()
    old.world.sessions(3)
    with caplog.at_level(logging.WARNING):
        assert old.maintain().unarchived == [name(old)]
    assert "in the archive has 34 rows, and Postgres has 35. `engage archive` writes what is missing." in caplog.text
    old.write()
    assert old.maintain().dropped == [name(old)]
    assert old.archived(app_session).total() == 35


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_file_keeps_a_window(old, damage, caplog):
    old.write()
    path = old.first(purchase)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "truncated" else content[:40] + b"!" + content[41:])
    with caplog.at_level(logging.WARNING):
        assert old.maintain().unarchived == [name(old)]
    assert f"is {damage}" in caplog.text
    assert there(old) == ALL


def test_an_archive_out_of_reach_keeps_a_window_and_stops_nothing_else(old, caplog):
    old.write()
    old.folder.rename(old.folder.with_name("unmounted"))
    old.world.sessions(1, at=old.world.now)
    with caplog.at_level(logging.WARNING):
        done = old.maintain()
    assert (done.dropped, done.unarchived) == ([], [name(old)])
    assert "there is no such folder. Make it, or mount its disk." in caplog.text


def test_a_partition_that_is_made_again_for_a_dropped_window_does_not_replace_the_archive(old):
    old.write()
    old.maintain()
    before = old.snapshot()
    partitions.ensure_windows(old.world.engine, [old.world.window])
    assert old.write().pieces == 0
    old.world.sessions(1)
    assert old.write().pieces == 0
    assert old.snapshot() == before
    assert old.maintain().dropped == [name(old)]  # as a late event of a dropped window always was
    assert there(old) == set()


# --- restore


def dropped(old):
    """Archive and drop the window; returns its rows before."""
    old.write()
    before = {log: old.logged(log) for log in LOGS}
    assert old.maintain().dropped == [name(old)]
    return before


def test_a_restored_window_has_all_its_events_again_once(old):
    before = dropped(old)
    assert old.restore() == {log.name: rows.total() for log, rows in before.items()}
    assert {log: old.logged(log) for log in LOGS} == before
    assert old.restore() == {}
    assert {log: old.logged(log) for log in LOGS} == before
    for log in LOGS:  # a row of a wrong hash piece would not be found by a customer's id
        assert old.world.value(f"SELECT count(*) FROM {log.name} WHERE customer_id = 4") > 0


def test_a_window_that_was_dropped_restored_and_computed_again_equals_its_campaign(old):
    results = ("customer_activity", "customer_bucket")
    counts = "SELECT events, rejected, customers FROM campaign"
    before = old.world.dump(*results), old.world.rows(counts)
    dropped(old)
    old.restore()
    old.world.execute(sa.text("UPDATE campaign SET frozen_at = NULL"))  # the drop closed it
    old.world.computed()
    assert (old.world.dump(*results), old.world.rows(counts)) == before
    assert old.world.value("SELECT sum(sessions) FROM customer_activity") == 30


def test_another_run_of_a_restored_window_changes_nothing(old):
    dropped(old)
    old.restore()
    before = old.world.dump("campaign", "customer_activity")
    options = RunOptions()
    extract(
        old.world.engine, old.world.window, validate(UNGUARDED), as_of=old.world.now, run_id="again", options=options
    )
    assert old.world.dump("campaign", "customer_activity") == before


def test_a_restored_window_stays_for_some_days_and_then_goes_again(old, caplog):
    dropped(old)
    old.restore()
    old.world.now += KEEP_RESTORED - timedelta(seconds=1)
    with caplog.at_level(logging.WARNING):
        assert old.maintain().unarchived == [name(old)]
    assert "It was restored from the archive less than 7 days ago." in caplog.text
    assert old.write().pieces == 0
    old.world.now += timedelta(seconds=1)
    assert old.maintain().dropped == [name(old)]


def test_a_restore_refuses_to_mix_events(old):
    old.write()
    old.world.sessions(1)
    with pytest.raises(
        ArchiveError, match=r"Postgres has 35 events of app_session .* 34, so nothing was changed: a res"
    ):
        old.restore()
    dropped(old)
    partitions.ensure_windows(old.world.engine, [old.world.window])
    old.world.purchase(1, 5)
    with pytest.raises(ArchiveError, match="Postgres has 1 events of purchase"):
        old.restore()
    assert (old.logged(app_session).total(), old.logged(purchase).total()) == (0, 1)


def test_a_partition_that_was_made_again_empty_is_filled(old):
    before = dropped(old)
    partitions.ensure_windows(old.world.engine, [old.world.window])
    old.restore()
    assert {log: old.logged(log) for log in LOGS} == before


def test_late_events_of_a_dropped_window_join_the_restored_ones_and_get_into_the_archive(old):
    before = dropped(old)
    old.world.sessions(9, 2)  # in DEFAULT
    old.restore()
    assert old.logged(app_session).total() == before[app_session].total() + 2
    assert old.write().pieces == 1
    assert old.archived(app_session) == old.logged(app_session)


def test_a_restore_refuses_a_damaged_file_and_changes_nothing(old):
    dropped(old)
    path = old.first(app_event)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ArchiveError, match=r"was not restored: .*parquet is truncated: it has [\d,]+ bytes, not"):
        old.restore()
    assert there(old) == set()


def test_a_restore_of_what_is_not_archived_is_refused(old):
    with pytest.raises(ArchiveError, match="has no whole copy of app_session"):
        old.restore()


def test_a_forgotten_customer_does_not_come_back(old):
    dropped(old)
    erasure.forget(old.world.engine, 4, as_of=old.world.now)
    old.restore()
    assert old.world.value("SELECT count(*) FROM app_session WHERE customer_id = 4") == 0
    assert old.logged(app_session) == old.archived(app_session)


def test_a_customer_who_is_forgotten_during_a_restore_does_not_come_back(old, monkeypatch):
    dropped(old)
    copied = restore._copy

    def slowly(conn, fresh, rows):
        if fresh.name.startswith("app_session"):
            erasure.forget(old.world.engine, 4, as_of=old.world.now)
        copied(conn, fresh, rows)

    monkeypatch.setattr(restore, "_copy", slowly)
    old.restore()
    for log in LOGS:
        assert old.world.value(f"SELECT count(*) FROM {log.name} WHERE customer_id = 4") == 0
    assert old.write().erased_customers == 1
    assert old.archived(app_session) == old.logged(app_session)


def test_a_restore_waits_for_readers_and_writers_of_the_log(old):
    before = dropped(old)
    with ThreadPoolExecutor() as pool, old.world.engine.connect() as conn:
        conn.execute(sa.select(app_session).limit(1))
        done = pool.submit(old.restore)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'"
        until(lambda: old.world.value(waits), "the restore waits for its lock")
        conn.rollback()
        done.result()
    assert old.logged(app_session) == before[app_session]


def test_the_archive_is_needed_to_know_what_may_go(old, monkeypatch):
    old.write()
    monkeypatch.setattr(Place, "require", lambda place: (_ for _ in ()).throw(ArchiveError("It does not answer.")))
    assert old.maintain().unarchived == [name(old)]
