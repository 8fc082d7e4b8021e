"""The commands of the archive, and what ``verify`` finds."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.archive import stored
from engage.cli import main
from engage.errors import ArchiveError
from engage.storage.schema import app_event, app_session, purchase
from engage.window import LENGTH


@pytest.fixture
def ready(archiving, command, monkeypatch):
    """An archive with a window, and ENGAGE_ARCHIVE_URL set. The commands read the wall's clock."""
    monkeypatch.setenv("ENGAGE_ARCHIVE_URL", archiving.folder.as_uri())
    archiving.fill()
    return archiving


@pytest.fixture
def written(ready):
    ready.write()
    return ready


def day(archiving):
    return f"{archiving.world.window.start:%Y-%m-%d}"


def failed(*arguments):
    done = CliRunner().invoke(main.app, arguments)
    assert done.exit_code == 1
    return done


def test_the_command_writes_what_is_due_and_a_second_time_nothing(ready, command):
    said = command("archive")
    assert f"app_session {day(ready)}" in said
    assert ready.archived(app_session) == ready.logged(app_session)
    again = json.loads(command("archive", "--json"))
    assert again == {"windows": [], "pieces": 0, "rows": 0, "bytes": 0, "erased_customers": 0}


def test_the_list_says_how_much_there_is_and_where(written, command):
    said = command("archive", "list")
    assert "archive, Postgres" in said
    found = json.loads(command("archive", "list", "--json"))
    [sessions] = [one for one in found["windows"] if one["log"] == "app_session"]
    manifest = written.manifest(app_session)
    assert (sessions["rows"], sessions["bytes"]) == (manifest.rows, manifest.bytes)
    assert (sessions["whole"], sessions["in_postgres"], sessions["dropped_at"]) == (True, True, None)
    assert found["customers_to_erase"] == 0
    written.paths(app_event)["manifest.json"].unlink()
    assert "not whole" in command("archive", "list")


def test_a_whole_archive_verifies(written, command):
    assert "4 windows of logs read. All files are whole." in command("archive", "verify")
    assert "4 windows of logs read." in command("archive", "verify", day(written))
    found = json.loads(command("archive", "verify", "--json"))
    assert [one["faults"] for one in found] == [[], [], [], []]


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_file_is_named_in_a_sentence_and_the_exit_code_is_1(written, damage):
    path = written.first(purchase)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "truncated" else content[:40] + b"!" + content[41:])
    done = failed("archive", "verify")
    assert f"{path} is {damage}" in done.stdout.replace("\n", "")
    assert "Put it back from a backup." in done.stdout
    assert "1 fault found" in done.stdout
    assert [len(one["faults"]) for one in json.loads(failed("archive", "verify", "--json").stdout)] == [0, 0, 1, 0]


def rewritten(archiving, log, change, **said):
    """Replace a file by one with a change, and let the manifest have its checksum, and what else is ``said`` of it."""
    path = archiving.first(log)
    pq.write_table(change(pq.ParquetFile(path).read()), path)
    manifest = archiving.paths(log)["manifest.json"]
    size, sha256 = stored.sha256_of(archiving.place, str(path))
    found = json.loads(manifest.read_text())
    [file] = [one for one in found["files"] if one["name"] == path.name]
    file |= {"bytes": size, "sha256": sha256} | said
    manifest.write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows.slice(1), "rows, not"),
        (
            lambda rows: rows.rename_columns(["customer", *rows.column_names[1:]]),
            "its columns are customer, started_at",
        ),
        (
            lambda rows: pa.concat_tables([rows.slice(1), rows.slice(0, 1).set_column(0, "customer_id", [[99]])]),
            "least",
        ),
    ],
)
def test_a_file_that_is_not_what_its_manifest_says_is_found(written, change, sentence):
    rewritten(written, app_session, change)
    [fault] = written.faults(app_session)
    assert "is not what its manifest says" in fault
    assert sentence in fault


def test_a_file_that_is_no_parquet_is_found_though_its_checksum_fits(written):
    path = written.first(app_session)
    path.write_bytes(b"PAR1 no")
    size, sha256 = stored.sha256_of(written.place, str(path))
    manifest = written.paths(app_session)["manifest.json"]
    found = json.loads(manifest.read_text())
    [file] = [one for one in found["files"] if one["name"] == path.name]
    file |= {"bytes": size, "sha256": sha256}
    manifest.write_text(json.dumps(found))
    [fault] = written.faults(app_session)
    assert "is no whole Parquet file" in fault


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "JSONDecodeError"),
        ("{}", "KeyError: 'version'"),
        ('{"version": 2, "table": "app_session", "window": {"start": "2026-09-14"}, "files": []}', "says version 2"),
        ("[]", "TypeError"),
    ],
)
def test_a_manifest_of_another_form_is_refused_with_a_way_out(written, text, why):
    written.paths(app_session)["manifest.json"].write_text(text)
    with pytest.raises(ArchiveError, match=rf"manifest\.json is not one that Engage has written .*{why}"):
        written.manifest(app_session)
    assert "Put back the one of a backup" in " ".join(failed("archive", "verify").stdout.split())


def test_a_manifest_never_leads_out_of_its_folder(written):
    manifest = written.paths(app_session)["manifest.json"]
    manifest.write_text(manifest.read_text().replace('"00.parquet"', '"../../../00.parquet"'))
    with pytest.raises(ArchiveError, match="none of this folder"):
        written.manifest(app_session)


def test_a_window_comes_back_by_command(written, command):
    written.world.now += LENGTH
    before = written.logged(purchase)
    written.world.execute(sa.text("INSERT INTO campaign (window_start, window_end, status, settings, events, rejected, "
        f"opened_at) VALUES ('{written.world.window.start}', '{written.world.window.end}', 'complete', '{{}}', '{{}}', "
        "'{}', now())"))  # fmt: skip
    assert written.maintain().dropped == [day(written)]
    assert '"dropped_at": "20' in command("archive", "list", "--json")
    said = command("archive", "restore", day(written))
    assert f"{before.total()} of purchase" in said
    assert written.logged(purchase) == before
    assert "Postgres has all events of" in command("archive", "restore", day(written))
    assert json.loads(command("archive", "restore", day(written), "--json")) == {"window": day(written), "restored": {}}


def test_a_window_that_was_never_archived_is_named(written):
    done = CliRunner().invoke(main.app, ["archive", "verify", "2025-01-06"])
    assert isinstance(done.exception, ArchiveError)
    assert "has nothing of the window 2025-01-06 to 2025-03-03. `engage archive list` shows all." in str(done.exception)


def test_maintenance_says_which_windows_the_archive_lacks(ready, command):
    assert "Old windows kept because the archive lacks them: none" in command("maintain")


def test_without_an_archive_the_commands_say_how_to_name_one(archiving, command, monkeypatch):
    monkeypatch.delenv("ENGAGE_ARCHIVE_URL", raising=False)
    for arguments in (["archive"], ["archive", "list"], ["archive", "verify"], ["archive", "restore", "2025-01-06"]):
        done = CliRunner().invoke(main.app, arguments)
        assert isinstance(done.exception, ArchiveError)
        assert str(done.exception) == (
            "There is no archive, as ENGAGE_ARCHIVE_URL is not set. It takes file:///folder, s3://bucket/folder or "
            "gs://bucket/folder."
        )
    assert "archive" not in command("maintain")
