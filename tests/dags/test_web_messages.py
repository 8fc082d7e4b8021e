"""What the routes of messages and customers do with a user's word, and what Airflow's audit log keeps of it."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer, message
from engage.window import ANCHOR, Window
from tests.dags.web_client import every_check, web_client

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

WINDOW = Window(ANCHOR)
NAMED = {"window_start": f"{WINDOW.start:%Y-%m-%d}"}
PHONE = "+12025550187"


@pytest.fixture
def user():
    return SimpleNamespace(get_name=lambda: "ada", may_edit_connection=True)


@pytest.fixture
def log(monkeypatch):
    """What the audit log gets beside the requests themselves."""
    import engage_web_audit
    import engage_web_customers

    entries = []

    def record_now(user, event, **extra):
        entries.append((event, user.get_name(), extra))

    monkeypatch.setattr(engage_web_audit, "record_now", record_now)
    monkeypatch.setattr(engage_web_customers, "may_edit_connection", lambda user: user.may_edit_connection)
    return entries


@pytest.fixture
def client(engine, monkeypatch, log, user):
    """A user who may do all. There is a campaign with three messages: one unknown, one delivered, one queued."""
    blank = {"window_end": WINDOW.end, "status": "sending", "settings": {}, "events": {}, "rejected": {}}
    with engine.begin() as conn:
        conn.execute(sa.insert(campaign_table).values(window_start=WINDOW.start, opened_at=WINDOW.end, **blank))
        conn.exec_driver_sql(
            f"CREATE TABLE message_{WINDOW.key} PARTITION OF message FOR VALUES IN ('{WINDOW.start.isoformat()}')"
        )
        for number, status in enumerate(("unknown", "delivered", "queued"), 1):
            phone = PHONE[:-1] + str(number)
            hashed = bytes([number])
            conn.execute(
                sa.insert(customer).values(customer_id=number, registered_at=ANCHOR, phone=phone, phone_hash=hashed)
            )
            row = {"bucket": "BOOST", "status": status, "queued_at": WINDOW.end, "sending_at": WINDOW.end}
            row |= {"provider": "twilio", "body": "Hello", "phone_hash": hashed}
            conn.execute(sa.insert(message).values(window_start=WINDOW.start, customer_id=number, **row))
    session = SimpleNamespace(scalars=lambda query: [])
    return web_client(monkeypatch, engine, user=user, session=lambda: session, without=every_check())


def row_of(engine, customer_id, *columns):
    with engine.connect() as conn:
        query = sa.select(*(message.c[name] for name in columns)).where(message.c.customer_id == customer_id)
        return tuple(conn.execute(query).one())


def test_a_message_is_settled_by_the_airflow_user_with_the_reason(client, engine):
    body = NAMED | {"customer_id": "1", "status": "delivered", "why": "showed it"}
    answer = client.post("/settle-message", json=body)
    assert answer.json() == {"detail": "Settled: the message to customer 1 is delivered now."}
    assert row_of(engine, 1, "status", "settled_by", "settled_why") == ("delivered", "ada", "showed it")
    assert client.post("/settle-message", json=body).status_code == 404


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"status": "queued"}, "An unknown message cannot be settled as 'queued'; it takes accepted, sent, delivered"),
        ({"status": ""}, "An unknown message cannot be settled as ''"),
        ({"why": " "}, "The reason of the settlement is ''"),
        ({"customer_id": "x"}, "'x' is not a customer's id"),
        ({"window_start": "2025-01-07"}, "is not the start of a window"),
    ],
)
def test_a_settlement_that_cannot_be_right_settles_nothing(client, engine, body, sentence):
    right = NAMED | {"customer_id": "1", "status": "delivered", "why": "showed it"}
    answer = client.post("/settle-message", json=right | body)
    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]
    assert row_of(engine, 1, "status") == ("unknown",)


@pytest.mark.parametrize("query", ["status=lost", "segment=none", "error_code=x", "after=x"])
def test_a_list_or_file_with_a_filter_that_does_not_exist_is_an_error(client, query):
    start = f"window_start={NAMED['window_start']}"
    assert client.get(f"/messages?{start}&{query}").status_code == 400
    if "after" not in query:
        assert client.get(f"/messages.csv?{start}&{query}").status_code == 400


def test_the_file_has_masked_phones(client, log):
    answer = client.get(f"/messages.csv?window_start={NAMED['window_start']}&status=unknown")
    assert answer.headers["content-disposition"] == 'attachment; filename="messages-2025-01-06.csv"'
    assert len(answer.text.splitlines()) == 2
    assert "…81" in answer.text
    assert PHONE[:6] not in answer.text
    assert log == []


def test_the_audit_log_keeps_how_many_rows_with_phones_have_left(client, log):
    answer = client.post("/export-messages", json=NAMED)
    assert answer.headers["content-disposition"] == 'attachment; filename="messages-2025-01-06-phones.csv"'
    assert answer.text.count("+1202555018") == 3
    expected = {"window_start": "2025-01-06", "rows": 3, "complete": True}
    assert log == [("exported_messages", "ada", expected)]
    client.post("/export-messages", json=NAMED | {"status": "queued", "reason": None})
    assert log[1][2] == {"window_start": "2025-01-06", "status": "queued", "rows": 1, "complete": True}


def test_a_download_that_breaks_off_is_recorded_with_the_rows_that_have_left(engine, client, log, user):
    import engage_web_messages

    async def two_parts():
        wanted = engage_web_messages.Export(**NAMED)
        parts = engage_web_messages.export_messages(wanted, engine, user).body_iterator
        await anext(parts)
        await anext(parts)
        await parts.aclose()

    asyncio.run(two_parts())
    gc.collect()
    assert [(action, extra["rows"], extra["complete"]) for action, _, extra in log] == [("exported_messages", 3, False)]


class Double:
    """A provider that has one message, and is asked for it."""

    name = "twilio"

    def __init__(self):
        self.asked = 0

    def find(self, phone, since):
        self.asked += 1
        return []


def test_the_provider_is_asked_about_unknown_messages(client, engine, monkeypatch):
    import engage_web_messages

    double = Double()
    monkeypatch.setattr(engage_web_messages.providers, "provider", lambda name, account: double)
    answer = client.post("/reconcile-messages", json=NAMED)
    assert answer.json()["detail"] == "0 found at the provider, 1 not found and marked as failed, 0 still unknown."
    assert row_of(engine, 1, "status", "settled_by") == ("failed", "reconcile")
    assert double.asked == 1


def test_when_the_time_is_over_the_rest_stays_unknown(client, engine, monkeypatch):
    import engage_web_messages

    monkeypatch.setattr(engage_web_messages, "ASKING_SECONDS", 0.0)
    answer = client.post("/reconcile-messages", json=NAMED)
    assert answer.json()["detail"].endswith("1 still unknown.")
    assert row_of(engine, 1, "status") == ("unknown",)


def test_without_an_account_there_is_a_sentence(client, engine):
    answer = client.post("/reconcile-messages", json=NAMED)
    assert answer.status_code == 400
    assert "Airflow has no connection engage_sms" in answer.json()["detail"]
    assert row_of(engine, 1, "status") == ("unknown",)


def test_a_customer_is_opted_out_at_the_databases_time(client, engine):
    assert client.post("/opt-out", json={"customer_id": "1", "why": " "}).status_code == 400
    assert client.post("/opt-out", json={"customer_id": "1", "why": "asked at the counter"}).status_code == 200
    with engine.connect() as conn:
        query = sa.select(customer.c.opted_out_at, sa.func.clock_timestamp()).where(customer.c.customer_id == 1)
        at, now = conn.execute(query).one()
    assert now - at < timedelta(minutes=1)
    assert client.post("/opt-out", json={"customer_id": "99", "why": "x"}).status_code == 404


def test_a_customer_is_forgotten_only_if_the_id_was_typed(client, engine):
    refused = client.post("/forget-customer", json={"customer_id": "2", "typed_id": "1"})
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        "What you typed is not the customer's id. Type 2 to forget this customer.",
    )
    assert client.get("/customer?customer_id=2").status_code == 200
    done = client.post("/forget-customer", json={"customer_id": "2", "typed_id": " 2 "})
    assert done.json() == {
        "detail": "Customer 2 is forgotten: 0 events deleted, 1 message made anonymous, the phone suppressed.",
        "go": "customer",
    }
    assert client.get("/customer?customer_id=2").status_code == 404


@pytest.mark.parametrize("may", [True, False])
def test_a_full_phone_is_searched_by_users_who_may_and_the_log_has_no_number(client, log, user, may):
    user.may_edit_connection = may
    answer = client.post("/find-customer", json={"text": PHONE[:-1] + "2"})
    if may:
        assert answer.json() == {"detail": "", "html": "", "go": "customer?customer_id=2"}
        assert log == [("search_by_phone", "ada", {})]
    else:
        assert (answer.status_code, log) == (404, [])
        assert "To search by phone, type its last 4 to 6 digits" in answer.json()["detail"]
        assert "0182" not in answer.text


def test_a_text_that_is_too_long_is_refused_without_repeating_it(client):
    answer = client.post("/find-customer", json={"text": PHONE * 20})
    assert answer.status_code == 422
    assert PHONE not in answer.text


def test_a_message_is_searched_for_without_the_text_in_an_address(client, log):
    answer = client.post("/find-message", json=NAMED | {"text": PHONE[:-1] + "2"})
    assert answer.json()["go"] == "messages?window_start=2025-01-06&customer_id=2"
    assert log == [("search_by_phone", "ada", {})]
    several = client.post("/find-message", json=NAMED | {"text": PHONE[-5:-1]})
    assert (several.status_code, PHONE[-5:-1] in several.text) == (404, False)


def test_a_window_without_a_campaign_has_no_file(client):
    for answer in (
        client.get("/messages.csv?window_start=2025-03-03"),
        client.post("/export-messages", json={"window_start": "2025-03-03"}),
    ):
        assert answer.status_code == 404
        assert "There is no campaign for the window" in answer.text


def test_an_id_beyond_all_ids_is_refused_on_the_approval_page(client):
    answer = client.get(f"/approval?window_start=2025-01-06&after={10**20}")
    assert answer.status_code == 400
    assert "which is a whole number such as 4711" in answer.text
