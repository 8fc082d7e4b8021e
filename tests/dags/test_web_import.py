"""What the routes of the page *Import* take, refuse and record."""

from __future__ import annotations

import asyncio
import errno
import io
import json
from types import SimpleNamespace
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from engage.pages import import_page
from tests.dags.web_client import every_check, web_client

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

GUESTS = b"customer_id,name,phone\n1,Ada,+12025550187\n2,Bo,\nx,Cy,+12025550188\n"


@pytest.fixture
def log(monkeypatch):
    """What the audit log gets."""
    import engage_web_audit

    entries = []
    monkeypatch.setattr(
        engage_web_audit, "record_now", lambda user, event, **extra: entries.append((event, user.get_name(), extra))
    )
    return entries


@pytest.fixture
def client(engine, monkeypatch, log):
    """A user who may do all."""
    monkeypatch.setenv("ENGAGE_HASH_KEY", "a key for tests, of no use to others")
    user = SimpleNamespace(get_name=lambda: "ada")
    session = SimpleNamespace(scalars=lambda query: [])
    return web_client(monkeypatch, engine, user=user, session=lambda: session, without=every_check())


def send(client, action, content=GUESTS, **options):
    wanted = json.dumps({"kind": "customers", "file": "gästé.csv"} | options)
    return client.post(f"/import-{action}", content=content, headers={"Engage-Import": quote(wanted)})


def parts(answer):
    """The report of an answer, and the CSV of the rejected rows."""
    length = int(answer.headers["engage-report-bytes"])
    return json.loads(answer.content[:length])["html"], answer.content[length:].decode()


def names(engine):
    with engine.connect() as conn:
        return conn.execute(sa.text("SELECT name FROM customer ORDER BY customer_id")).scalars().all()


def test_a_check_answers_with_a_report_and_the_rejected_rows(client, engine, log):
    answer = send(client, "check")
    report, rejected = parts(answer)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "gästé.csv" in report
    assert "Import 2 rows" in report
    assert rejected.splitlines()[1].startswith("4,")
    assert "Cy,+12025550188" in rejected
    assert names(engine) == []
    assert log == []


def test_an_import_is_in_the_audit_log_with_its_counts_and_nothing_of_its_rows(client, engine, log):
    report, _ = parts(send(client, "apply"))
    assert "2 customers are in." in report
    assert names(engine) == ["Ada", "Bo"]
    with engine.connect() as conn:
        recorded = conn.execute(sa.text("SELECT source, actor FROM consent_event")).all()
    assert recorded == [("import", "ada")] * 2
    counts = {"read": 3, "added": 2, "changed": 0, "unchanged": 0, "rejected": 1}
    assert log == [("import_file", "ada", {"kind": "customers", "file": "gästé.csv"} | counts)]


def test_a_file_is_read_in_parts(client):
    rows = b"".join(b"%d,Ada\n" % number for number in range(1, 40_001))
    report, rejected = parts(send(client, "check", iter([b"customer_", b"id,name\n", rows[:70_001], rows[70_001:]])))
    assert "Import 40,000 rows" in report
    assert rejected == ""


def test_a_file_that_is_too_large_is_refused_by_what_it_says_and_by_what_it_is(client, monkeypatch):
    monkeypatch.setattr("engage_web_import.MOST_BYTES", len(GUESTS) - 1)
    for content in (GUESTS, iter([GUESTS])):
        answer = send(client, "check", content)
        assert answer.status_code == 413
        assert answer.json()["detail"] == import_page.TOO_LARGE
    monkeypatch.setattr("engage_web_import.MOST_BYTES", len(GUESTS))
    assert send(client, "check").status_code == 200


def test_a_file_that_says_it_is_too_large_is_not_read():
    import engage_web_import
    from fastapi import HTTPException

    request = SimpleNamespace(headers={"content-length": str(import_page.MOST_BYTES + 1)}, stream=pytest.fail)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(engage_web_import._receive(request, io.BytesIO()))
    assert refused.value.status_code == 413


@pytest.mark.parametrize("header", ["", "nothing", "{}", '{"kind": "messages", "file": "x"}', "%00", '{"file": 1}'])
def test_a_request_without_the_right_choices_is_refused(client, header):
    answer = client.post("/import-check", content=GUESTS, headers={"Engage-Import": header})
    assert answer.status_code == 422
    assert "The request has a value that is not allowed." in answer.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8bbroken", b"[1]", b"\x00" * 99, b"x" * 2_000_000])
def test_a_file_that_cannot_be_read_is_an_error_with_a_sentence(client, log, content):
    for action in ("check", "apply"):
        answer = send(client, action, content)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith(("The file", "Row", "The compressed file"))
    assert log == []


def test_a_file_whose_columns_are_not_clear_is_checked_and_not_imported(client, log):
    assert "This file needs a word from you" in parts(send(client, "check", b"a,b\n1,2\n"))[0]
    assert send(client, "apply", b"a,b\n1,2\n").status_code == 400
    assert "Import 1 row" in parts(send(client, "check", b"a,b\n1,2\n", columns={"a": "customer_id"}))[0]
    assert log == []


def test_without_the_key_for_phones_only_events_are_read(client, monkeypatch):
    monkeypatch.delenv("ENGAGE_HASH_KEY")
    answer = send(client, "check")
    assert answer.status_code == 400
    assert "ENGAGE_HASH_KEY is not set" in answer.json()["detail"]
    events = b"customer_id,occurred_at,type\n1,2026-10-01,session\n"
    assert send(client, "check", events, kind="events").status_code == 200


def test_a_server_without_room_for_the_file_says_so(client, monkeypatch):
    def full(**options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("engage_web_import.tempfile.TemporaryFile", full)
    answer = send(client, "check")
    assert answer.status_code == 503
    assert "No space left on device" in answer.json()["detail"]
