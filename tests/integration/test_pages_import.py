"""The page *Import*, as the pages' role in the database: what a check shows, and what an import does."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from datetime import timedelta
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from engage.customers import consent_verification
from engage.errors import InputError
from engage.pages import import_head, import_page
from engage.pages.import_fields import FIELD_WORDS, FIELDS
from engage.pages.import_options import Wanted
from engage.pages.import_page import Files
from engage.pages.viewer import Viewer
from engage.storage import database_roles
from engage.storage.schema import suppression
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.integration.test_pages_campaigns import EVIL, assert_inert, text_of

GUESTS = """Customer number;Full name;Mobile;Consent date;Consent source;Shoe size
1;Ada;020 7946 0018;2026-01-31;app;37
2;Böb;+44 20 7946 0019;;;
x;Cy;020 7946 0020;;;41
4;Di;1.20E+10;;;
"""


class Found(NamedTuple):
    html: str
    text: str
    counts: dict[str, int]
    rejected: str


@pytest.fixture
def load(world, url, opened):
    """Checks or imports a file of customers or events as the pages' role."""
    named = sa.make_url(url)
    world.execute(sa.text(f"REVOKE TEMPORARY ON DATABASE {named.database} FROM PUBLIC"))  # as deploy/postgres has it
    world.execute(sa.text(f"GRANT TEMPORARY ON DATABASE {named.database} TO {database_roles.PAGES}"))
    pages = opened(named.set(username=database_roles.PAGES))

    def run(content, *, apply=False, **options):
        wanted = Wanted(**({"kind": "customers", "file": "guests.csv"} | options))
        files = Files(io.BytesIO(content if isinstance(content, bytes) else content.encode()), io.BytesIO())
        found = import_page.load(pages, files, wanted, apply=apply, hash_key=KEY, as_of=world.now, actor="ada")
        return Found(found.html, text_of(found.html), found.counts, files.rejected.read().decode())

    return run


def stored(world):
    return world.rows("SELECT customer_id, name, phone, consent_source FROM customer ORDER BY 1")


def test_a_check_says_how_it_reads_the_file_and_changes_nothing(load, world):
    found = load(GUESTS.encode("cp1252"), country="GB")
    text = found.text
    assert "What the file would change guests.csv · CSV, delimiter semicolon, Windows-1252 · 4 rows" in text
    assert "Rejected rows as CSV Import 2 rows" in text
    assert "Nothing is changed yet. 2 rows of 4 cannot be imported." in text
    assert "No consent, and so no text: 1 customer." in text
    assert "New 2 Changed 0 Unchanged 0 Rejected 2" in text
    assert "Customer number x Full name Cy Mobile 020 7946 0020" in text
    assert "spreadsheet's short form" in text
    assert found.counts == {"read": 4, "added": 2, "changed": 0, "unchanged": 0, "rejected": 2}
    assert stored(world) == []


def test_each_column_has_an_example_and_the_list_of_fields_with_its_own_chosen(load):
    markup = load(GUESTS, country="GB").html
    for column, field in {"Customer number": "customer_id", "Full name": "name", "Mobile": "phone"}.items():
        _, _, after = markup.partition(f'data-column="{column}"')
        assert f"<option selected>{field}</option>" in after.partition("</select>")[0], column
    _, _, after = markup.partition('data-column="Shoe size"')
    assert "selected" not in after.partition("</select>")[0]
    assert "Full name Ada not read" in text_of(markup)


def test_the_rejected_rows_can_be_mended_and_loaded_by_themselves(load, world):
    done = load(GUESTS, apply=True, country="GB")
    assert "Imported" in done.text
    assert "2 customers are in. 2 rows are not: mend the CSV of rejected rows, and load that." in done.text
    assert "data-apply" not in done.html
    assert stored(world) == [(1, "Ada", "+442079460018", "app"), (2, "Böb", "+442079460019", None)]
    header, *rows = csv.reader(io.StringIO(done.rejected, newline=""))
    assert header[2:] == GUESTS.splitlines()[0].split(";")
    assert [row[0] for row in rows] == ["4", "5"]
    rows[0][2], rows[1][4] = "3", "020 7946 0021"
    mended = io.StringIO(newline="")
    csv.writer(mended).writerows([header, *rows])
    again = load(mended.getvalue(), apply=True, country="GB")
    assert "2 customers are in." in again.text
    assert "rejected_reason" not in load(mended.getvalue(), country="GB").html
    assert [row[0] for row in stored(world)] == [1, 2, 3, 4]
    assert again.rejected == ""


def test_the_same_file_again_changes_nothing(load):
    load(GUESTS, apply=True, country="GB")
    found = load(GUESTS, country="GB")
    assert found.counts == {"read": 4, "added": 0, "changed": 0, "unchanged": 2, "rejected": 2}
    assert "data-apply" not in found.html
    assert "Every row is in already" in load("customer_id,name\n1,Ada\n").text
    assert "The file has no rows below its columns." in load("customer_id,name\n").text


def test_the_user_says_what_a_column_is(load, world):
    unclear = "Guest,Called\n7,Ada\n"
    found = load(unclear)
    text = found.text
    assert "This file needs a word from you" in text
    assert "Say under “Columns” which one is read as customer_id." in text
    assert "--map" not in text
    assert (found.counts, found.rejected) == ({}, "")
    chosen = load(unclear, columns={"Guest": "customer_id"})
    assert chosen.counts["added"] == 1
    load(unclear, apply=True, columns={"Guest": "customer_id", "Called": "name"})
    load("customer_id,name\n7,Other\n8,Bo\n", apply=True, columns={"name": ""})
    assert [row[:2] for row in stored(world)] == [(7, "Ada"), (8, None)]
    with pytest.raises(InputError, match="No column is the customer's id"):
        load(unclear, apply=True)


def test_the_user_says_that_a_column_of_opt_outs_is_not_read(load):
    rows = "customer_id,unsubscribed\n1,yes\n"
    found = load(rows)
    assert "seems to list opt-outs" in found.text
    assert "choose “not read” under “Columns”" in found.text
    assert "selected disabled>choose…</option>" in found.html
    waived = load(rows, columns={"unsubscribed": ""})
    assert "Import 1 row" in waived.text
    assert "disabled" not in waived.html


def test_a_choice_that_cannot_be_is_said_and_can_be_mended(load):
    twice = load("a,b\n1,2\n", columns={"a": "customer_id", "b": "customer_id"})
    assert "Two columns are read as customer_id. It takes one." in twice.text
    assert 'data-column="a"' in twice.html
    assert "is no country" in load(GUESTS, country="XX").text
    named = load("id,id,,name\n1,2,3,Ada\n")
    assert "Several columns have this name" in named.text
    assert "Give it a name in the file" in named.text
    assert named.html.count("data-column") == 1


def test_a_newer_consent_ends_an_opt_out_and_a_revocation_and_an_opt_out_keeps_the_old_phone(load, world):
    out = world.customer(phone="+442079460018", opted_out_at=world.now - timedelta(days=2))
    revoked = {"phone_hash": phone_hash("+442079460018", KEY), "reason": "revocation", "source": "sms"}
    world.execute(sa.insert(suppression).values(suppressed_at=world.now - timedelta(days=3), **revoked))
    load(f"customer_id,consent_at,consent_source\n{out},2026-11-01,shop\n", apply=True)
    assert world.value("SELECT opted_out_at IS NOT NULL FROM customer")
    newer = load(f"customer_id,consent_at,consent_source\n{out},2026-11-09,shop\n", apply=True)
    assert newer.counts["changed"] == 1
    assert world.rows("SELECT opted_out_at, consent_source FROM customer") == [(None, "shop")]
    assert world.value("SELECT count(*) FROM suppression") == 0
    left = world.customer(phone="+442079460019", opted_out_at=world.now)
    load(f"customer_id,phone\n{left},+442079460099\n", apply=True)
    assert world.rows("SELECT phone_hash, reason FROM suppression") == [(phone_hash("+442079460019", KEY), "stop")]


def test_each_consent_is_in_the_record_with_the_user(load, world):
    rows = "id,phone,consent_at,consent_source,consent_wording,consent_evidence\n"
    load(f"{rows}1,+442079460018,2026-11-01,shop,Yes,form 17\n2,+442079460019,,,,\n", apply=True)
    record = "SELECT customer_id, state, source, wording, evidence, actor FROM consent_event ORDER BY 1"
    assert world.rows(record) == [
        (1, "given", "import", "Yes", "shop; form 17", "ada"),
        (2, "absent", "import", None, None, "ada"),
    ]
    assert consent_verification.verify(world.engine).misfits == []


def test_events_are_added_once(load, world):
    rows = (
        "Customer;Time;Type;Total\n1;2026-10-01T12:00:00Z;purchase;1,50\n1;2026-10-01;session;\n1;1999-01-01;session;\n"
    )
    options = {"kind": "events", "file": "events.csv"}
    found = load(rows, **options)
    text = found.text
    assert "CSV, delimiter semicolon, UTF-8, decimal comma · 3 rows" in text
    assert "The rows that are right: 1 session, 1 purchase." in text
    assert world.value("SELECT count(*) FROM purchase") == 0
    done = load(gzip.compress(rows.encode()), apply=True, **options)
    assert "2 events are in. 1 row is not" in done.text
    assert world.rows("SELECT customer_id, amount_cents FROM purchase") == [(1, 150)]
    assert world.value("SELECT count(*) FROM app_session") == 1
    again = load(gzip.compress(rows.encode()), **options)
    assert "This file was loaded before" in again.text
    assert load(gzip.compress(rows.encode()), apply=True, **options).counts["added"] == 0
    assert world.value("SELECT count(*) FROM app_session") == 1


def test_an_event_with_an_id_counts_once_and_refunds_are_in(load, world):
    rows = (
        "customer_id,occurred_at,type,amount,event_id\n1,2026-10-01,purchase,1.50,a\n1,2026-10-01,purchase,1.50,a\n"
        "1,2026-10-02,refund,0.50,a\n1,2026-10-02,refund,0.00,b\n"
    )
    options = {"kind": "events", "file": "events.csv"}
    found = load(rows, **options)
    assert "The rows that are right: 2 purchases, 1 refund." in found.text
    assert "Left out, as the id is in already or an earlier row has it: 1 event." in found.text
    assert found.counts == {"read": 4, "added": 2, "changed": 0, "unchanged": 1, "rejected": 1}
    assert load(rows, apply=True, **options).counts == found.counts
    assert world.rows("SELECT amount_cents FROM purchase") == [(150,)]
    assert world.rows("SELECT amount_cents FROM refund") == [(50,)]
    assert load(rows.replace("refund", "session"), **options).counts["added"] == 2


def test_events_of_a_window_without_partitions_count_all_the_same(load, world):
    rows = "customer_id,occurred_at,amount\n1,2025-02-01,1.50\n"
    load(rows, kind="events", event_type="purchase", apply=True)
    assert world.value("SELECT amount_cents FROM purchase") == 150


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("customer_id,occurred_at\n1,2026-10-01\n", "choose it under “Type of events"),
        ('customer_id,occurred_at,type,amount\n1,2026-10-01,purchase,"1,234"\n', "Say under “Decimal mark”"),
        (
            'customer_id,occurred_at,type,amount\n1,2026-10-01,purchase,"1,5"\n1,2026-10-01,purchase,1.5\n',
            "Choose it under",
        ),
        ("customer_id,occurred_at,type,amount,total\n1,2026-10-01,purchase,1,1\n", ""),
    ],
)
def test_what_is_not_clear_about_events_names_the_fields_of_the_page(load, rows, sentence):
    text = load(rows, kind="events").text
    assert sentence in text
    assert " --" not in text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file has no rows"),
        (b"PK\x03\x04rest", "a spreadsheet or a ZIP archive"),
        (b"\x1f\x8b\x08\x00broken", "broken or not complete"),
        (b"PAR1 and no more", "Parquet"),
        (b"[1, 2]", "one JSON array"),
        (b"a\x00b,c\n1,2\n" * 9, ""),
        (b'"a,b\n' * 9, ""),
        (b"x" * 3_000_000, "is no row"),
        (b"customer_id\n1\n" + b'"' + b"x" * 3_000_000, "is no row"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(load, world, content, sentence):
    assert sentence in said(load, content)
    with pytest.raises(InputError):
        load(content, apply=True)
    assert stored(world) == []


def said(load, content):
    """The sentence of a check, with or without the columns."""
    try:
        return load(content).text
    except InputError as exc:
        return str(exc)


def test_a_file_of_too_many_rows_is_refused(load, world, monkeypatch):
    monkeypatch.setattr(import_page, "MOST_ROWS", 3)
    with pytest.raises(InputError, match="more than 3 rows"):
        load(GUESTS, apply=True, country="GB")
    assert "more than 3 rows" in load(GUESTS, country="GB").text
    assert stored(world) == []


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(load, world, monkeypatch):
    """Its rows, also the rejected ones, would fill the disk of the server."""
    monkeypatch.setattr(import_page, "MOST_UNPACKED", 1_000)
    rows = f"customer_id,note\n1,{'x' * 1_000}\n"
    for given in (rows.encode(), gzip.compress(b"customer_id\n1\n")):
        assert load(given).counts["added"] == 1
    for apply in (False, True):
        with pytest.raises(InputError, match="more than 1,000 bytes once it is unpacked"):
            load(gzip.compress(rows.encode()), apply=apply)
    assert stored(world) == []


def test_long_lines_of_json_take_little_memory_to_be_known():
    """Of a small compressed file with 1,000 lines of a megabyte, all of them would take the server's memory."""
    line = b'{"customer_id": 1, "name": "' + b"x" * 1_000_000 + b'"}\n'
    file = io.BytesIO(gzip.compress(line * 50 + b'{"customer_id": 2, "late": 1}\n', 1))
    tracemalloc.start()
    head = import_head.read(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (head.columns, head.examples[0]) == (("customer_id", "name"), "1")
    assert peak < 30_000_000


def test_a_row_with_a_huge_value_is_shortened_on_the_page_and_whole_in_the_csv(load):
    before = csv.field_size_limit(131_072)
    found = load("".join(f'{{"customer_id": "x", "name": "{"y" * size}"}}\n' for size in (100_000, 200_000)))
    csv.field_size_limit(before)
    assert "y" * 59 + "…" in found.text
    assert len(found.html) < 10_000
    assert len(found.rejected) > 300_000


def test_nothing_of_a_file_is_markup(load):
    found = load(f'customer_id,"{EVIL}"\n"{EVIL}","{EVIL}"\n1,"{EVIL}"\n'.replace('\\"', '""'), file=f"{EVIL}.csv")
    around = import_page.import_page(Viewer())
    assert_inert(around + found.html)
    assert_inert(around + load(f"{EVIL}\n1\n").html)


def test_the_page_explains_fields_that_there_are():
    for kind, words in FIELD_WORDS.items():
        assert {one.name for one in words} <= FIELDS[kind].keys()
    text = text_of(import_page.import_page(Viewer()))
    assert "at most 100 MB" in text
    assert "customer_id needed" in text
