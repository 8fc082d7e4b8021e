"""A forgotten customer leaves the archive too."""

import json
import os
import subprocess
import sys
from itertools import count

import pytest
import sqlalchemy as sa

from engage.archive import erasure as archive_erasure
from engage.archive import write
from engage.archive.manifest import folder
from engage.customers import erasure
from engage.errors import ArchiveError
from engage.storage import partitions
from engage.storage.schema import app_session, archived_log
from tests.integration.archiving import LOGS
from tests.waiting import until


@pytest.fixture
def filled(archiving):
    """An archived window in which customer 7 shares a piece with another customer."""
    archiving.fill(12)
    world = archiving.world
    world.customer(customer_id=7)
    other = next(n for n in count(1000) if piece_of(archiving, n) == piece_of(archiving, 7))
    world.sessions(other)
    world.purchase(other, 5)
    world.app_event(other, "viewed")
    world.refund(other, 5)
    archiving.write()
    return archiving


def forget(archiving, customer_id=7):
    return erasure.forget(archiving.world.engine, customer_id, as_of=archiving.world.now)


def holds(archiving, customer_id=7):
    """The logs whose files, whatever the manifest says, hold a customer."""
    import pyarrow.parquet as pq

    found = set()
    for log in LOGS:
        files = [path for name, path in archiving.paths(log).items() if name != "manifest.json"]
        found |= {log.name for path in files if customer_id in pq.ParquetFile(path).read()["customer_id"].to_pylist()}
    return found


def waiting(archiving):
    return archiving.world.rows("SELECT customer_id FROM archive_erasure ORDER BY 1")


def test_the_customer_leaves_every_log_and_all_others_stay(filled):
    before = {log: filled.archived(log) for log in LOGS}
    assert holds(filled) == {log.name for log in LOGS}
    assert forget(filled).archive_waits
    assert waiting(filled) == [(7,)]
    assert archive_erasure.erase(filled.world.engine, filled.place) == 1
    assert holds(filled) == set()
    assert waiting(filled) == []
    assert filled.faults() == []
    for log in LOGS:
        theirs = {row: count for row, count in before[log].items() if row[0] == 7}
        assert before[log] - filled.archived(log) == theirs != {}
        assert filled.archived(log) == filled.logged(log)


def test_only_the_customers_piece_is_written_anew(filled):
    before = filled.snapshot()
    forget(filled)
    archive_erasure.erase(filled.world.engine, filled.place)
    changed = {path for path, state in filled.snapshot().items() if before.get(path) != state}
    assert len(changed) == 2 * len(LOGS)  # a piece and a manifest of each log
    assert filled.write().pieces == 0


def test_a_window_that_only_the_archive_has_is_reached(filled):
    world = filled.world
    for log in LOGS:
        with world.engine.begin() as conn:
            partitions.drop_events(conn, log, world.window)
    world.execute(sa.update(archived_log).values(dropped_at=world.now))
    rows = filled.archived(app_session).total()
    forget(filled)
    filled.write()
    assert holds(filled) == set()
    assert filled.archived(app_session).total() == rows - 3
    assert filled.faults() == []


def test_several_customers_are_erased_at_once(filled):
    for customer_id in (3, 7, 11, 7, 2**40):
        forget(filled, customer_id)
    assert filled.write().erased_customers == 4
    assert [holds(filled, customer_id) for customer_id in (3, 7, 11)] == [set()] * 3
    assert filled.archived(app_session) == filled.logged(app_session)


def test_a_customer_without_archived_events_changes_no_file(filled):
    before = filled.snapshot()
    forget(filled, 4711)
    assert filled.write().erased_customers == 1
    assert filled.snapshot() == before


def test_nothing_is_noted_where_there_is_no_archive(archiving):
    archiving.fill(3)
    assert not forget(archiving, 1).archive_waits
    assert waiting(archiving) == []


def test_a_customer_who_is_forgotten_while_the_archive_is_written_leaves_it_with_the_next_run(archiving, monkeypatch):
    archiving.fill(20)
    write_piece = write.write_piece

    def after(source, piece):
        found = write_piece(source, piece)
        if source.table == "app_session" and waiting(archiving) == []:
            forget(archiving)
        return found

    monkeypatch.setattr(write, "write_piece", after)
    archiving.write()
    archiving.write()
    assert holds(archiving) == set()
    assert archiving.faults() == []
    for log in LOGS:
        assert archiving.archived(log) == archiving.logged(log)


def test_the_first_writing_of_a_window_waits_for_an_erasure(archiving, url):
    archiving.fill(20)
    world = archiving.world
    with world.engine.begin() as conn:
        partitions.lock_erasing(conn)
        conn.execute(sa.text("DELETE FROM app_session WHERE customer_id = 7"))
        code = "import sys; from datetime import datetime; from engage.archive import place, write; " \
            "from engage.storage import connection; write.archive(connection.connect(sys.argv[1]), " \
            "place.place_of(sys.argv[2]), as_of=datetime.fromisoformat(sys.argv[3]))"  # fmt: skip
        arguments = [url, archiving.folder.as_uri(), world.now.isoformat()]
        writer = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=os.getcwd())
        until(
            lambda: world.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
            "the writer waits",
        )
    assert writer.wait(60) == 0
    assert "app_session" not in holds(archiving)


def test_a_damaged_file_is_not_taken_for_the_customers_other_rows(filled):
    filled.world.execute(sa.update(archived_log).values(dropped_at=filled.world.now))
    forget(filled)
    path = filled.paths()[filled.manifest().files[piece_of(filled, 7)].name]
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    with pytest.raises(ArchiveError, match=r"parquet is missing or damaged, so forgotten customers cannot be removed"):
        filled.write()
    assert waiting(filled) == [(7,)]
    path.write_bytes(content)
    assert filled.write().erased_customers == 1


def piece_of(archiving, customer_id):
    with archiving.world.engine.connect() as conn:
        return partitions.piece_number(conn, customer_id)


def test_a_customers_piece_is_where_postgres_puts_the_customer(filled):
    for customer_id in (1, 7, 2**62, 12):
        table = partitions.piece_of(app_session, filled.world.window, piece_of(filled, customer_id))
        assert filled.world.value(sa.select(sa.func.count()).where(table.c.customer_id == customer_id)) > 0


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 8, 12])
def test_a_killed_erasure_is_done_by_the_next_run(filled, url, step):
    forget(filled)
    filled.killed("erase", url, step)
    assert filled.faults() == []
    assert waiting(filled) == [(7,)]
    filled.write()
    assert holds(filled) == set()
    assert filled.faults() == []
    for log in LOGS:
        assert filled.archived(log) == filled.logged(log)


def test_a_manifest_that_is_gone_for_a_dropped_window_stops_the_erasure_and_deletes_nothing(filled):
    filled.world.execute(sa.update(archived_log).values(dropped_at=filled.world.now))
    filled.paths()["manifest.json"].unlink()
    before = filled.snapshot()
    forget(filled)
    with pytest.raises(ArchiveError, match=r"manifest\.json is missing"):
        filled.write()
    kept = {path for path in before if folder("app_session", filled.world.window) in path}
    assert kept <= set(filled.snapshot())
    assert waiting(filled) == [(7,)]


# --- the command


def test_the_command_forgets_in_the_archive_at_once(filled, command, monkeypatch):
    monkeypatch.setenv("ENGAGE_ARCHIVE_URL", filled.folder.as_uri())
    said = command("customers", "forget", "7")
    assert "Customer 7 is forgotten: 6 events deleted" in said
    assert "The customer's events are erased from the archive too." in said
    assert holds(filled) == set()


def test_the_command_says_that_the_archive_is_out_of_its_reach(filled, command, monkeypatch):
    monkeypatch.delenv("ENGAGE_ARCHIVE_URL", raising=False)
    assert "The archive may still hold the customer's events; the next run of the maintenance" in command(
        "customers", "forget", "7"
    )
    monkeypatch.setenv("ENGAGE_ARCHIVE_URL", "file:///nowhere/at/all")
    found = json.loads(command("customers", "forget", "7", "--json"))
    assert found["archive_waits"]
    assert "It could not be done at once: ENGAGE_ARCHIVE_URL names /nowhere/at/all" in found["archive"]
    assert waiting(filled) == [(7,), (7,)]
