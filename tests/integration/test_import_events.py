"""Events from a file: those that are right reach the raw logs, and each file does so once."""

import gzip
import io
import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter

from engage import maintenance
from engage.errors import InputError
from engage.imports import event_rows
from engage.imports.values import DecimalMark
from engage.service import event_models, event_validation
from engage.statuses import AppEventKind
from engage.storage.schema import intake_batch
from engage.window import ANCHOR, LENGTH
from tests.integration.importing import AS_OF, Importing, Pipe, invoked, written

LOGS = ("app_session", "purchase", "app_event", "intake_batch")
FILE = """type,customer_id,occurred_at,amount,currency,item_id
session,1,2026-09-20T10:00:00Z,,,
purchase,1,2026-09-20 12:00:00+02,12.50,USD,
Purchase,2,2026-09-20,"1,000",usd,
viewed,2,2026-09-20T10:00:00.5,,,pie
"""


@pytest.fixture
def importing(world):
    return Importing(world)


def test_each_event_reaches_its_log(importing, world):
    report = importing.events(FILE)
    assert (report.read, report.added, report.file.decimal) == (4, 4, "point")
    assert {kind: report.notes[kind] for kind in ("sessions", "purchases", "app_events")} == {
        "sessions": 1, "purchases": 2, "app_events": 1,
    }  # fmt: skip
    at = datetime(2026, 9, 20, 10, tzinfo=UTC)
    assert world.rows("SELECT * FROM app_session") == [(1, at)]
    assert world.rows("SELECT * FROM purchase ORDER BY 1") == [(1, at, 1250), (2, at.replace(hour=0), 100000)]
    assert world.rows("SELECT * FROM app_event") == [(2, at.replace(microsecond=500_000), "viewed", "pie")]


def test_a_dry_run_changes_nothing_and_counts_the_same(importing, world):
    before = world.dump(*LOGS)
    checked = importing.events(FILE, apply=False)
    assert world.dump(*LOGS) == before
    done = importing.events(FILE)
    assert (checked.read, checked.added, checked.notes) == (done.read, done.added, done.notes)


@pytest.mark.parametrize("again", [FILE.encode(), gzip.compress(FILE.encode())])
def test_a_file_that_was_loaded_adds_nothing_also_once_keys_have_expired(importing, world, again):
    importing.events(FILE)
    maintenance.maintain(world.engine, 13, as_of=AS_OF + maintenance.KEEP_KEYS * 2)
    before = world.dump(*LOGS)
    for apply in (False, True):
        report = importing.events(again, apply=apply)
        assert (report.read, report.added, report.unchanged, report.loaded_before) == (4, 0, 4, AS_OF)
    assert world.dump(*LOGS) == before


def test_the_keys_of_clients_still_expire(importing, world):
    for owner, key in (("import", "file"), ("x", "files")):
        row = {"owner": owner, "idempotency_key": key, "fingerprint": b"", "answer": {}}
        world.execute(sa.insert(intake_batch).values(accepted_at=datetime(2026, 1, 1, tzinfo=UTC), **row))
    importing.events(FILE)
    assert maintenance.maintain(world.engine, 13, as_of=AS_OF).idempotency_keys == 2


def test_the_windows_of_a_file_get_partitions_of_their_own(importing, world):
    first, last = ANCHOR + LENGTH, ANCHOR - LENGTH
    importing.events(f"customer_id,occurred_at\n1,{first:%Y-%m-%d}\n2,{last:%Y-%m-%d}\n", event_type="session")
    places = world.rows("SELECT customer_id, tableoid::regclass::text FROM app_session ORDER BY 1")
    assert places[0][1].startswith(f"app_session_{first:%Y%m%d}_")
    assert places[1] == (2, "app_session_default")


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("bought,1,2026-09-20,1.00,,", "invalid_type"), ("redeemed,1,2026-09-20,,,", "invalid_type"),
        ("session,,2026-09-20,,,", "missing_customer_id"), ("session,0,2026-09-20,,,", "invalid_customer_id"),
        ("session,1.5E+3,2026-09-20,,,", "invalid_customer_id"), ("session,1,,,,", "missing_occurred_at"),
        ("session,1,20/09/2026,,,", "invalid_occurred_at"), ("session,1,2026-09-20 25:00:00,,,", "invalid_occurred_at"),
        ("session,1,1999-09-20,,,", "invalid_occurred_at"), ("session,1,2026-11-11T09:00:01Z,,,", "future_dated"),
        ("purchase,1,2026-09-20,,,", "invalid_amount"), ("purchase,1,2026-09-20,-1.00,,", "invalid_amount"),
        ("purchase,1,2026-09-20,1.20E+10,,", "invalid_amount"), ("purchase,1,2026-09-20,1.005,,", "invalid_amount"),
        ("purchase,1,2026-09-20,$5,,", "invalid_amount"), ("purchase,1,2026-09-20,5.00,EUR,", "invalid_amount"),
        ("purchase,1,2026-09-20,10000000000.01,,", "invalid_amount"),
        ('purchase,1,2026-09-20,"5,00",,', "invalid_amount"),
        ('purchase,1,2026-09-20,"0,500",,', "invalid_amount"), ('purchase,1,2026-09-20,"000,123",,', "invalid_amount"),
        pytest.param('purchase,1,2026-09-20,"1' + ",000" * 2000 + '",,', "invalid_amount", id="6001 digits"),
        ("viewed,1,2026-09-20,,,", "missing_item_id"), ("viewed,1,2026-09-20,,," + "x" * 201, "invalid_item_id"),
        ("session,1", "wrong_columns"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_right_is_rejected(importing, world, row, code):
    report = importing.events(f"{FILE}{row}\n", decimal=DecimalMark.POINT)
    assert (report.added, report.reasons) == (4, {code: 1})
    assert importing.rejected.splitlines()[1].startswith("6,")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_of_parquet_is_the_same_file_through_a_pipe_or_compressed(importing, world, compressed):
    from pyarrow import parquet, table

    out = io.BytesIO()
    rows = 30_000
    parquet.write_table(
        table({"customer_id": range(1, rows + 1), "occurred_at": ["2026-09-20"] * rows, "note": ["x" * 9] * rows}), out
    )
    data = out.getvalue()
    importing.events(data, event_type="session")
    report = importing.events(gzip.compress(data) if compressed else Pipe(data), event_type="session")
    assert (report.added, report.unchanged) == (0, rows)
    assert world.value("SELECT count(*) FROM app_session") == rows


def test_limits_are_those_of_the_service():
    assert event_validation.MAX_CLOCK_SKEW == event_rows.MAX_CLOCK_SKEW
    assert set(event_rows.TYPES) == {"session", "purchase", "refund", *AppEventKind}
    assert TypeAdapter(event_models.ItemId).json_schema()["maxLength"] == event_rows.MAX_ITEM


def test_decimal_comma_and_point_are_told_apart_or_refused(importing, world):
    head = "customer_id,occurred_at,amount\n"
    rows = '1,2026-09-20,"{}"\n'

    def loaded(*amounts, **options):
        return importing.events(head + "".join(map(rows.format, amounts)), event_type="purchase", **options)

    assert loaded("1.234,50", "7", "1.234").file.decimal == "comma"
    assert world.value("SELECT sum(amount_cents) FROM purchase") == 123450 + 700 + 123400
    assert loaded("1,234.50", "7", "1,234", "1,234,567").file.decimal == "point"
    assert loaded("7", "8").file.decimal is None
    assert loaded("7", "0.500").file.decimal == "point"
    with pytest.raises(InputError, match="The column 'amount' has 1,234, which may be a thousand or one with three"):
        loaded("1,234", "7")
    with pytest.raises(InputError, match=r"The column 'amount' has 7\.50 and also 7,50"):
        loaded("7,50", "7.50")
    report = loaded("7,50", "7.50", decimal=DecimalMark.COMMA)
    assert (report.added, report.reasons) == (1, {"invalid_amount": 1})


def test_amounts_in_cents_are_read(importing, world):
    report = importing.events(
        "customer_id,occurred_at,amount_minor\n1,2026-09-20,1250\n1,2026-09-20,12.5\n", event_type="purchase"
    )
    assert (report.added, report.rejected, world.value("SELECT amount_cents FROM purchase")) == (1, 1, 1250)
    more = "".join(f"1,2026-09-20,{cents}\n" for cents in ("0" * 20 + "9" * 20, "9" * 5000, "\u0665"))
    report = importing.events(f"customer_id,occurred_at,amount_minor\n{more}", event_type="purchase")
    assert report.reasons == {"invalid_amount": 3}


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("customer_id,occurred_at\n1,2026-09-20\n", {}, "name it with --type purchase"),
        (
            "customer_id,occurred_at\n1,2026-09-20\n",
            {"event_type": "sale"},
            "--type is 'sale'; it takes one of",
        ),
        ("customer_id,occurred_at\n1,2026-09-20\n", {"event_type": "purchase"}, "No column is the amount"),
        ("customer_id,occurred_at\n1,2026-09-20\n", {"event_type": "liked"}, "No column is the item"),
        ("customer_id,amount\n1,5.00\n", {"event_type": "purchase"}, "No column is the time of the event"),
    ],
)
def test_a_file_without_a_needed_column_is_refused(importing, content, options, sentence):
    with pytest.raises(InputError, match=sentence):
        importing.events(content, **options)


def test_parquet_and_json_lines_bring_typed_values(importing, world):
    from decimal import Decimal

    import pyarrow as pa
    from pyarrow import parquet

    at = datetime(2026, 9, 20, 10, 0, 0, 250_000, UTC).replace(tzinfo=None)
    table = pa.table(
        {
            "customer_id": pa.array([1, 2], pa.int32()),
            "occurred_at": pa.array([at, at], pa.timestamp("ns")),
            "amount": pa.array([Decimal("12.50"), Decimal("0.05")], pa.decimal128(12, 2)),
            "basket": pa.array([["a"], []]),
        }
    )
    out = io.BytesIO()
    parquet.write_table(table, out)
    report = importing.events(out.getvalue(), event_type="purchase")
    assert (report.added, [one.name for one in report.file.ignored]) == (2, ["basket"])
    rows = [{"type": "purchase", "customer_id": 3, "occurred_at": "2026-09-20", "amount": 12.5}]
    importing.events("\n".join(map(json.dumps, rows)))
    assert world.rows("SELECT customer_id, amount_cents FROM purchase ORDER BY 1") == [(1, 1250), (2, 5), (3, 1250)]
    assert world.value("SELECT min(purchased_at) FROM purchase WHERE customer_id < 3") == at.replace(tzinfo=UTC)


def test_the_command_loads_a_file_once_and_says_when_it_did(url, monkeypatch, tmp_path):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)
    path = written(tmp_path, FILE + "bought,1,2026-09-20,,,\n")
    code, said = invoked("events", path, "--apply")
    assert code == 0
    assert "Rows read: 5 = 4 added, 0 unchanged, 1 rejected." in said
    assert "Right rows: 1 sessions, 2 purchases, 1 other events." in said
    assert "Mend them there, and import that file." in said
    assert "This file was loaded on " in invoked("events", path, "--apply")[1]
