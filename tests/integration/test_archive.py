"""The archive holds exactly the rows of Postgres, once, in files of a common format."""

import json
from collections import Counter
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from engage.archive import record, write
from engage.archive.manifest import find_manifest, read_manifest
from engage.errors import ArchiveError
from engage.storage import binary_copy, partitions
from engage.storage.schema import LOG_TIMES, app_event, app_session, archived_log, purchase
from engage.window import GRACE
from tests.integration import lake
from tests.integration.archiving import LOGS
from tests.waiting import until


def test_every_row_of_the_window_is_in_the_archive_dirt_included(archiving):
    archiving.fill()
    done = archiving.write()
    for log in LOGS:
        assert archiving.archived(log) == archiving.logged(log) != Counter()
    assert done.rows == sum(archiving.manifest(log).rows for log in LOGS)
    assert archiving.faults() == []
    assert archiving.archived(app_session)[(None, archiving.world.window.start + timedelta(microseconds=7))] == 1
    assert {row[2] for row in archiving.archived(purchase)} >= {None, -1, 2**63 - 1}
    assert {row[3] for row in archiving.archived(app_event)} == {None, "", "pie", "crème brûlée"}


def test_several_processes_write_the_same_as_one(archiving, monkeypatch):
    monkeypatch.setattr(write, "FEW", 100)
    archiving.fill()
    archiving.write()
    assert archiving.archived(app_session) == archiving.logged(app_session)
    assert archiving.faults() == []


def test_rows_without_a_time_and_of_other_windows_stay_out(archiving):
    archiving.fill()
    archiving.world.sessions(1, at=archiving.world.window.end)
    before = archiving.world.value("SELECT count(*) FROM app_session")
    archiving.write()
    assert archiving.manifest(app_session).rows == before - 3


def test_the_layout_is_one_file_for_each_hash_piece_with_rows(archiving):
    archiving.fill(5)
    archiving.write()
    window = archiving.world.window
    manifest = archiving.manifest(app_session)
    assert [file.piece for file in manifest.files] == [*range(partitions.HASH_MODULUS)]
    assert [file.name for file in manifest.files] == [f"{n:02}.parquet" for n in range(partitions.HASH_MODULUS)]
    empty = [file for file in manifest.files if not file.rows]
    assert {(file.bytes, file.sha256, file.first_at, file.least_customer) for file in empty} == {(0, "", None, None)}
    where = archiving.folder / "app_session" / f"window={window.start:%Y%m%d}"
    assert {path.name for path in where.iterdir()} == {"manifest.json", *manifest.names}
    for file in manifest.files:
        rows = archiving.world.value(f"SELECT count(*) FROM app_session_{window.key}_{file.piece:02}")
        assert file.rows == rows


def test_files_are_sorted_typed_and_packed_tightly(archiving):
    archiving.fill()
    archiving.write()
    for log, time in LOG_TIMES.items():
        for name in archiving.manifest(log).names:
            found = pq.ParquetFile(archiving.paths(log)[name])
            rows = found.read().to_pylist()
            keys = [(row["customer_id"] is None, row["customer_id"] or 0, row[time.name]) for row in rows]
            assert keys == sorted(keys)
            assert found.schema_arrow.field(time.name).type == pa.timestamp("us", tz="UTC")
            assert found.schema_arrow.field("customer_id").type == pa.int64()
            assert found.schema_arrow.names == [column.name for column in log.columns]
            assert found.metadata.format_version == "2.6"
            for place in (0, 1):
                column = found.metadata.row_group(0).column(place)
                assert column.compression == "ZSTD"
                assert "DELTA_BINARY_PACKED" in column.encodings
                assert not column.has_dictionary_page


def test_a_piece_of_many_blocks_is_one_file_of_sorted_row_groups(archiving, monkeypatch):
    monkeypatch.setattr("engage.archive.piece_rows.BLOCK", 100)
    monkeypatch.setattr("engage.archive.piece_rows.BLOCK_OF_TEXTS", 7)
    archiving.fill(2)
    for n in range(250):
        archiving.world.sessions(1, at=archiving.world.window.start + timedelta(hours=(n * 7) % 250))
        archiving.world.app_event(1, "liked", f"item {n}")
    archiving.write()
    for log in LOGS:
        assert archiving.archived(log) == archiving.logged(log)
    groups = {name: pq.ParquetFile(archiving.paths()[name]).num_row_groups for name in archiving.manifest().names}
    assert max(groups.values()) == 3
    assert archiving.faults() == []


def test_twice_is_the_same_as_once(archiving):
    archiving.fill()
    first = archiving.write()
    before = archiving.snapshot()
    again = archiving.write()
    assert (len(first.windows), again.pieces, again.windows) == (4, 0, [])
    assert archiving.snapshot() == before


def test_a_window_is_due_once_late_events_have_had_their_time(archiving):
    archiving.fill(3)
    due = archiving.world.window.end + GRACE
    archiving.world.now = due - timedelta(microseconds=1)
    assert archiving.write().pieces == 0
    archiving.world.now = due
    assert archiving.write().pieces > 0


def test_a_late_event_is_found_and_only_its_piece_is_written_anew(archiving):
    archiving.fill()
    archiving.write()
    before, files = archiving.manifest(), archiving.snapshot()
    archiving.world.sessions(7, at=archiving.world.window.start)
    done = archiving.write()
    assert (done.pieces, done.windows) == (1, [f"app_session {archiving.world.window.start:%Y-%m-%d}"])
    after = archiving.manifest()
    [changed] = [new for old, new in zip(before.files, after.files, strict=True) if old != new]
    assert changed.rows == before.files[changed.piece].rows + 1
    assert changed.name != before.files[changed.piece].name
    assert archiving.archived(app_session) == archiving.logged(app_session)
    assert set(archiving.paths()) == {"manifest.json", *after.names}
    untouched = [path for path, state in archiving.snapshot().items() if files.get(path) == state]
    assert len(untouched) == len(files) - 2  # the piece and its manifest
    assert archiving.faults() == []


def test_a_piece_that_lost_its_rows_loses_its_file(archiving):
    archiving.fill()
    archiving.write()
    archiving.world.execute(sa.delete(app_event))
    archiving.write()
    assert archiving.manifest(app_event).rows == 0
    assert set(archiving.paths(app_event)) == {"manifest.json"}


@pytest.mark.parametrize("recount", [True, False])
def test_an_older_window_is_counted_again_if_asked_to(archiving, in_window, recount):
    old = in_window(archiving.world.window.previous())
    partitions.ensure_windows(old.engine, [old.window])
    old.sessions(1, 2)
    archiving.fill(3)
    archiving.write(recount=recount)
    old.sessions(1)
    archiving.world.sessions(1)
    archiving.write(recount=recount)
    assert archiving.manifest(app_session, old.window).rows == (3 if recount else 2)
    assert archiving.archived(app_session) == archiving.logged(app_session)


def test_the_manifest_says_what_it_needs_to_be_read_without_engage(archiving):
    archiving.fill(3)
    archiving.write()
    found = json.loads(archiving.paths(purchase)["manifest.json"].read_text())
    assert (found["version"], found["table"]) == (1, "purchase")
    assert found["window"]["start"] == archiving.world.window.start.isoformat()
    assert found["columns"] == [
        {"name": "customer_id", "type": "int64"},
        {"name": "purchased_at", "type": "timestamp[us, tz=UTC]"},
        {"name": "amount_cents", "type": "int64"},
    ]
    assert found["files"][0].keys() == {
        "piece", "name", "rows", "bytes", "sha256", "first_at", "last_at", "least_customer", "greatest_customer",
    }  # fmt: skip


@pytest.mark.parametrize("step", [1, 2, 3, 7, 11, 12, 13, 14, 15, 16])
def test_a_killed_writer_leaves_no_wrong_manifest_and_a_retry_cleans_up(archiving, url, step):
    archiving.fill(3)
    archiving.killed("archive", url, step)
    for log in LOGS:
        if manifest := find_manifest(archiving.place, log.name, archiving.world.window):
            assert archiving.faults(log) == []
            assert manifest.rows == archiving.logged(log).total()
    archiving.write()
    for log in LOGS:
        assert archiving.archived(log) == archiving.logged(log)
        assert set(archiving.paths(log)) == {"manifest.json", *archiving.manifest(log).names}


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7])
def test_a_writer_killed_at_a_late_event_leaves_the_old_manifest_or_the_new_one_whole(archiving, url, step):
    archiving.fill(3)
    archiving.write()
    old = archiving.manifest().rows
    archiving.world.sessions(1)
    archiving.world.sessions(2)
    archiving.killed("archive", url, step)
    assert archiving.faults(app_session) == []
    assert archiving.manifest().rows in {old, old + 2}
    archiving.write()
    assert archiving.archived(app_session) == archiving.logged(app_session)
    assert set(archiving.paths()) == {"manifest.json", *archiving.manifest().names}


def test_what_another_database_has_written_is_not_overwritten(archiving):
    archiving.fill(3)
    archiving.write()
    archiving.world.execute(sa.delete(archived_log))
    assert archiving.write().pieces == 0  # the same rows, as after a backup
    archiving.world.execute(sa.delete(archived_log))
    archiving.world.sessions(1)
    before = archiving.snapshot()
    with pytest.raises(
        ArchiveError, match=r"with other rows than this database, which never wrote it\. If it is anoth"
    ):
        archiving.write()
    assert archiving.snapshot() == before


def test_the_files_of_a_lake_are_not_overwritten(archiving):
    """ENGAGE_ARCHIVE_URL may name a chain's own lake, whose folders are the same and whose events are nowhere else."""
    archiving.fill(3)
    lake.write(archiving.world.engine, archiving.world.window, archiving.folder)
    before = archiving.snapshot()
    with pytest.raises(
        ArchiveError, match=r"app_session/window=\d+ has files that no manifest of Engage names, such as a\.parq"
    ):
        archiving.write()
    assert before.items() <= archiving.snapshot().items()


def test_a_file_that_another_program_adds_later_stays(archiving):
    archiving.fill(3)
    archiving.write()
    other = archiving.first().with_name("part-0001.snappy.parquet")
    other.write_bytes(b"of another program")
    archiving.world.sessions(1)
    assert archiving.write().pieces == 1
    assert other.read_bytes() == b"of another program"


def test_one_process_at_a_time_changes_the_archive(archiving, monkeypatch):
    monkeypatch.setattr(record, "PATIENCE", timedelta(seconds=1))
    archiving.fill(3)
    with record.turn(archiving.world.engine), pytest.raises(ArchiveError, match="Another process is at work"):
        archiving.write()
    assert archiving.write().pieces > 0


def test_a_writer_that_has_lost_its_turn_publishes_nothing(archiving, monkeypatch):
    archiving.fill(3)

    def lost(source, piece):
        with archiving.world.engine.connect() as conn:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            conn.execute(sa.text(ended))
        until(lambda: not archiving.world.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "it ends")
        return write_piece(source, piece)

    write_piece = write.write_piece
    monkeypatch.setattr(write, "write_piece", lost)
    with pytest.raises(sa.exc.OperationalError):
        archiving.write()
    assert list(archiving.folder.rglob("*.json")) == []


def test_a_process_that_ends_while_it_writes_leaves_no_manifest(archiving, monkeypatch):
    monkeypatch.setattr("engage.worker_processes.sys.executable", "false")
    monkeypatch.setattr(write, "FEW", 0)
    archiving.fill()
    with pytest.raises(RuntimeError, match="A process that writes to the archive has ended"):
        archiving.write()
    with pytest.raises(ArchiveError, match=r"has no whole copy of app_event .*manifest\.json is missing"):
        read_manifest(archiving.place, "app_event", archiving.world.window)


def test_a_value_that_is_null_is_never_taken_for_another(engine):
    two = sa.select(sa.literal(1, sa.BigInteger), sa.null())
    with engine.begin() as conn:
        with pytest.raises(ValueError, match="a null"):
            next(binary_copy.unpacked(conn, two, [">i8", ">i8"], 10))
        assert conn.execute(sa.select(1)).scalar_one() == 1


def test_a_copy_that_is_broken_off_leaves_its_connection_usable(engine):
    many = sa.select(sa.func.generate_series(1, sa.cast(1_000_000, sa.BigInteger)))
    with engine.begin() as conn:
        rows = binary_copy.unpacked(conn, many, [">i8"], 1000)
        assert next(rows)["value0"].tolist() == [*range(1, 1001)]
        rows.close()
    with engine.begin() as conn:
        assert sum(len(block) for block in binary_copy.unpacked(conn, many, [">i8"], 77_777)) == 1_000_000


@pytest.mark.parametrize("rows", range(6))
@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_a_copy_has_all_rows_wherever_its_blocks_end(engine, rows, most):
    some = sa.select(sa.func.generate_series(1, sa.cast(rows, sa.BigInteger)))
    with engine.begin() as conn:
        blocks = [block["value0"].tolist() for block in binary_copy.unpacked(conn, some, [">i8"], most)]
    assert [row for block in blocks for row in block] == [*range(1, rows + 1)]
    assert max(map(len, blocks), default=0) <= most


def test_a_copy_that_the_server_refuses_is_an_error_of_the_database(engine):
    wrong = sa.select(sa.literal(1, sa.BigInteger) / sa.cast(sa.func.length(""), sa.BigInteger))
    with engine.begin() as conn, pytest.raises(sa.exc.DataError, match="division by zero"):
        next(binary_copy.unpacked(conn, wrong, [">i8"], 10))
