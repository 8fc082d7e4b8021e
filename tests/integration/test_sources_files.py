"""Events from files in a folder: Parquet and JSON Lines; only new and changed files are read."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engage.campaigns.pulled import PulledKind
from engage.errors import SourceError
from engage.sources import files, pull
from engage.sources.files import JsonLinesFile, ParquetFile
from tests.integration.sources import Folder, sessions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "events").mkdir()
    return Folder(tmp_path / "events")


@pytest.fixture
def pulled(world, folder):
    """Pulls one kind of event of the window from the folder."""

    def run(kind="session", window=world.window, **more):
        return pull(world.engine, window, folder.source(kind, **more), as_of=world.now).kinds[kind]

    return run


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read."""
    names = []

    def watch(reader):
        chunks = reader.chunks
        monkeypatch.setattr(reader, "chunks", lambda one: names.append(one.name) or chunks(one))

    watch(ParquetFile)
    watch(JsonLinesFile)
    return names


def stored(world, table="app_session"):
    return world.value(f"SELECT count(*) FROM {table}")


def test_parquet_files_are_pulled_with_as_many_rows_as_their_footers_say(world, folder, pulled):
    rows = sessions(world.window, 5000)
    folder.parquet("a.parquet", rows[:3000], row_group_size=700)
    folder.parquet("2026/b.parquet", rows[3000:])
    assert pulled() == PulledKind(counted=5000, read=5000, stored=5000)
    assert stored(world) == 5000
    assert world.value("SELECT max(started_at) FROM app_session") == rows[-1]["occurred_at"]


def test_only_new_and_changed_files_are_read_again(world, folder, pulled, read):
    rows = sessions(world.window, 300)
    folder.parquet("a.parquet", rows[:100])
    folder.parquet("b.parquet", rows[100:200])
    pulled()
    assert read == ["a.parquet", "b.parquet"]
    assert pulled() == PulledKind(counted=200, read=200, stored=200)
    assert len(read) == 2
    folder.parquet("c.parquet", rows[200:])
    assert pulled().stored == 300
    assert read[2:] == ["c.parquet"]
    folder.parquet("a.parquet", [*rows[:100], *sessions(world.window, 5, first=900)])
    assert pulled() == PulledKind(counted=305, read=305, stored=305)
    assert read[3:] == ["a.parquet"]
    assert stored(world) == 305


def test_a_file_that_is_only_written_anew_adds_nothing(world, folder, pulled):
    folder.parquet("a.parquet", sessions(world.window, 100))
    pulled()
    os.utime(folder.path / "a.parquet", (1, 1))
    assert pulled() == PulledKind(counted=100, read=100, stored=100)
    assert stored(world) == 100


def test_a_file_of_the_same_size_is_read_again_by_its_time(world, folder, pulled):
    rows = [one | {"occurred_at": one["occurred_at"].isoformat()} for one in sessions(world.window, 10, first=10)]
    folder.json_lines("a.jsonl", rows[:5])
    os.utime(folder.path / "a.jsonl", (1, 1))
    pulled(format="json_lines")
    folder.json_lines("a.jsonl", rows[5:])
    pulled(format="json_lines")
    assert stored(world) == 10


def test_files_of_other_windows_are_not_read_as_their_footers_tell(world, folder, pulled, read):
    folder.parquet("before.parquet", sessions(world.window.previous(), 100))
    folder.parquet("now.parquet", sessions(world.window, 100, first=200))
    folder.parquet("after.parquet", sessions(world.window.next(), 100, first=400))
    assert pulled() == PulledKind(counted=100, read=100, stored=100)
    assert read == ["now.parquet"]


def test_a_file_that_spans_windows_gives_each_window_its_events(world, folder, pulled):
    later = world.window.next()
    folder.parquet("all.parquet", [*sessions(world.window, 100), *sessions(later, 30, first=500)])
    assert pulled() == PulledKind(counted=130, read=130, stored=100, outside=30)
    assert stored(world) == 100
    assert pulled(window=later) == PulledKind(counted=130, read=130, stored=30, outside=100)
    assert pulled(window=later).stored == 30
    assert stored(world) == 130


def test_a_file_without_statistics_is_read_once_and_then_known_to_be_of_another_window(world, folder, pulled, read):
    folder.parquet("old.parquet", sessions(world.window.previous(), 100), write_statistics=False)
    folder.json_lines("old.jsonl", sessions(world.window.previous(), 100, first=500))
    assert pulled() == PulledKind(counted=100, read=100, outside=100)
    assert pulled(format="json_lines") == PulledKind(counted=100, read=100, outside=100)
    after = world.window.next()
    assert pulled(window=after) == pulled(window=after, format="json_lines") == PulledKind()
    assert read == ["old.parquet", "old.jsonl"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz"])
def test_json_lines_are_pulled_and_a_wrong_line_is_rejected(world, folder, pulled, name):
    good = sessions(world.window, 100)
    no_id = {"customer_id": 1, "occurred_at": "2026-10-01T00:00:00Z"}
    bad_time = good[0] | {"event_id": "x", "occurred_at": "yesterday"}
    folder.json_lines(name, [*good, "", "{", "[1]", '"\\ud800"', no_id, bad_time])
    found = pulled(format="json_lines")
    assert found == PulledKind(106 - 1, 106 - 1, 100, 0, {"invalid_time": 1, "missing_event_id": 4})


def test_purchases_of_json_lines_take_either_amount(world, folder, pulled):
    at = world.window.start.isoformat()
    amounts = [{"amount": "12.50"}, {"amount": 12.5}, {"amount": 12}, {"amount_minor": 1250}, {"amount": "1_0"},
               {"amount": 1.005}, {"amount": True}, {"amount_minor": 12.5}, {}]  # fmt: skip
    rows = [{"event_id": n, "customer_id": 7, "occurred_at": at} | one for n, one in enumerate(amounts)]
    folder.json_lines("a.jsonl", rows)
    found = pulled("purchase", format="json_lines")
    assert found.rejected == {"invalid_amount": 5}
    assert world.rows("SELECT amount_cents FROM purchase ORDER BY 1") == [(1200,), (1250,), (1250,), (1250,)]


def test_parquet_of_other_types_and_names(world, folder, pulled):
    at = world.window.start + timedelta(days=3)
    naive = at.replace(tzinfo=None)
    table = pa.table(
        {
            "ID": pa.array([1, 2, 3], pa.int64()),
            "client": pa.array([Decimal(7), None, Decimal(9)], pa.decimal128(38, 0)),
            "at": pa.array([naive, naive, naive], pa.timestamp("ns")),
            "cents": pa.array([5, 6, -7], pa.int32()),
            "nested": pa.array([{"a": 1}] * 3),
        }
    )
    pq.write_table(table, folder.path / "a.parquet")
    columns = {"event_id": "id", "customer_id": "client", "occurred_at": "at", "amount_minor": "cents"}
    found = pulled("purchase", columns=columns)
    assert found == PulledKind(3, 3, 1, 0, {"invalid_amount": 1, "missing_customer": 1})
    assert world.rows("SELECT * FROM purchase") == [(7, at, 5)]


WITHOUT_PANDAS = """
import sys
from datetime import datetime
from importlib.abc import MetaPathFinder
from fsspec.implementations.local import LocalFileSystem

class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "pandas":
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
from engage.sources import Source
from engage.window import Window

folder, start = sys.argv[1:]
window = Window(datetime.fromisoformat(start))
source = Source.of("w", {"session": {"path": folder}}, None, lambda path: (LocalFileSystem(), path))
for part in source.parts("session", window):
    part.span()
    for columns, rows in part.chunks():
        print(columns.sorted_out(rows, window).events[0][2].isoformat())
"""


def test_nanoseconds_are_read_without_pandas_as_on_a_server(world, folder):
    """Pandas is among the requirements of the tests alone."""
    start = int(world.window.start.timestamp())
    at = pa.array([start * 10**9 + 123_456_789], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"event_id": ["a"], "customer_id": [1], "occurred_at": at}), folder.path / "a.parquet")
    command = [sys.executable, "-c", WITHOUT_PANDAS, str(folder.path), world.window.start.isoformat()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == f"{world.window.start + timedelta(microseconds=123_456):%Y-%m-%dT%H:%M:%S.%f}+00:00\n", done


@pytest.mark.parametrize("kind", ["viewed", "liked", "added_to_basket"])
def test_other_events_of_the_app_come_with_their_item(world, folder, pulled, kind):
    rows = [one | {"item_id": "pie"} for one in sessions(world.window, 10)]
    folder.parquet("a.parquet", [*rows, rows[0] | {"event_id": "x", "item_id": ""}])
    assert pulled(kind) == PulledKind(11, 11, 10, 0, {"invalid_item": 1})
    assert world.rows("SELECT DISTINCT kind, item_id FROM app_event") == [(kind, "pie")]


def test_the_same_id_in_two_files_counts_once(world, folder, pulled):
    rows = sessions(world.window, 100)
    folder.parquet("a.parquet", rows)
    folder.parquet("b.parquet", rows[50:])
    found = pulled()
    assert (found.counted, found.stored, found.repeated) == (150, 100, 50)
    assert stored(world) == 100


def test_unfinished_and_hidden_files_are_left_out(world, folder, pulled):
    rows = sessions(world.window, 10)
    for name in ("_temporary/a.parquet", ".b.parquet", "c.parquet.tmp", "d.parquet"):
        folder.parquet(name, rows)
    (folder.path / "_SUCCESS").write_text("")
    assert pulled().counted == 10


def test_an_empty_file_has_no_event(folder, pulled):
    folder.parquet("a.parquet", [])
    pq.write_table(
        pa.table({"event_id": [], "customer_id": [], "occurred_at": []}),
        folder.path / "a.parquet",
    )
    assert pulled() == PulledKind()


def test_files_in_chunks(world, folder, pulled, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 70)
    folder.parquet("a.parquet", sessions(world.window, 200))
    folder.json_lines("b.jsonl", sessions(world.window, 200, first=500))
    assert pulled() == PulledKind(200, 200, 200)
    assert pulled(format="json_lines") == PulledKind(200, 200, 200)


# --- mistakes of configuration


def test_a_folder_without_such_files_is_one_sentence(folder, pulled):
    folder.json_lines("a.jsonl", [])
    with pytest.raises(SourceError, match=r"has no file whose name ends in \.parquet or \.pq\. Correct the path or"):
        pulled()


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no Parquet at all", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_damaged_file_is_one_sentence(folder, pulled, data):
    (folder.path / "a.parquet").write_bytes(data)
    with pytest.raises(SourceError, match=r"The file a\.parquet in .* is no whole file of the format parquet"):
        pulled()


def test_half_a_file_is_one_sentence(world, folder, pulled):
    folder.parquet("a.parquet", sessions(world.window, 5000))
    whole = (folder.path / "a.parquet").read_bytes()
    (folder.path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="is no whole file"):
        pulled()
    folder.json_lines("b.jsonl.gz", sessions(world.window, 5000))
    packed = (folder.path / "b.jsonl.gz").read_bytes()
    (folder.path / "b.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=r"b\.jsonl\.gz .* is no whole file of the format json_lines"):
        pulled(format="json_lines")
    (folder.path / "b.jsonl.gz").write_bytes(packed[:200] + bytes(200) + packed[400:])
    with pytest.raises(SourceError, match=r"b\.jsonl\.gz .* is no whole file of the format json_lines"):
        pulled(format="json_lines")
    assert stored(world) == 0


def test_a_missing_column_and_a_wrong_type_are_one_sentence(world, folder, pulled):
    folder.parquet("a.parquet", sessions(world.window, 5))
    with pytest.raises(
        SourceError, match=r"has no column amount or amount_minor, which purchase needs; it has event_id"
    ):
        pulled("purchase")
    folder.parquet("a.parquet", [{"event_id": "a", "customer_id": "7", "occurred_at": world.window.start}])
    with pytest.raises(
        SourceError, match="column customer_id holds str, and customer_id of session takes a whole number"
    ):
        pulled()
