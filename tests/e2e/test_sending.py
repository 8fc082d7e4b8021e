"""Messages to real customers, from a real Airflow through Twilio's SDK to a server that speaks Twilio's API."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from engage.airflow_names import DAG_ID
from engage.campaigns import campaign
from engage.formats import days
from engage.local import embedded_postgres
from engage.storage import connection
from engage.storage.schema import app_session, customer, purchase
from engage.texts.phone import phone_hash
from engage.window import Window
from tests.e2e.browser import let_in
from tests.e2e.support import Airflow, Campaigns, Run, past_window
from tests.phones import fictional_phone
from tests.twilio_double import TOKEN, TwilioDouble, twilio_double
from tests.waiting import until

PEOPLE = 60
FIRST_ID = 9_000_001
PHONES = [fictional_phone(n) for n in range(PEOPLE)]
SENT, HALTED, AT_NIGHT, KILLED = (past_window(number) for number in (8, 9, 10, 11))
UNGUARDED = {"guard_min_volume_percent": "0", "guard_max_quiet_days": "0", "guard_max_shift_points": "100"}
GUARDED = {"guard_min_volume_percent": "50", "guard_max_quiet_days": "3", "guard_max_shift_points": "25"}
VARIABLES = {"sms_provider": "twilio", "sending_hours": "0:00-24:00", "send_concurrency": "5"} | UNGUARDED
DEFAULTS = {"sms_provider": "sandbox", "sending_hours": "8:00-21:00", "send_concurrency": "10"} | GUARDED


@dataclass
class Sending:
    airflow: Airflow
    campaigns: Campaigns
    double: TwilioDouble

    def start(self, window: Window) -> str:
        return self.airflow.start_run(window_start=window.start.date().isoformat(), send_late=True)

    def run(self, window: Window) -> Run:
        return self.airflow.wait_for(self.start(window))

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.airflow.set_variable(f"engage_{name}", value)

    def fates(self, window: Window) -> dict[str, int]:
        """What became of the messages to the people; synthetic customers of other tests are never texted."""
        query = """SELECT status || coalesce('/' || reason, '') AS fate, count(*) FROM message
                   WHERE window_start = :start AND customer_id >= :first GROUP BY fate"""
        return dict(self.campaigns.rows(query, start=window.start, first=FIRST_ID))  # type: ignore[arg-type]

    def texted(self) -> list[int]:
        """How many POSTs have come for each person."""
        return [self.double.texted[phone] for phone in PHONES]


@pytest.fixture(scope="module")
def service(airflow: Airflow, campaigns: Campaigns) -> Iterator[Sending]:
    """People in a place where it is about noon, who bought little, and a provider to text them through."""
    with twilio_double(urlsplit(os.environ["ENGAGE_SMS_API"]).port or 0) as double:
        sending = Sending(airflow, campaigns, double)
        extra = json.dumps({"from": double.account.sender})
        account = {"conn_type": "generic", "login": double.account.sid, "password": TOKEN, "extra": extra}
        airflow.request("POST", "connections", json={"connection_id": "engage_sms", **account})
        sending.set(**VARIABLES)
        _add_people(campaigns.engine)
        yield sending
        _remove_people(campaigns.engine)  # nobody may seed beside them
        sending.set(**DEFAULTS)
        airflow.request("DELETE", "connections/engage_sms")


@pytest.fixture
def sending(service: Sending) -> Iterator[Sending]:
    """The same, with nothing posted yet and everything in order."""
    service.double.posts.clear()
    yield service
    service.double.delay = 0.0
    service.set(messages_per_second="0", **VARIABLES)


def _noon_zone() -> str:
    east = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


def _add_people(engine: sa.Engine) -> None:
    windows = (SENT, HALTED, AT_NIGHT, KILLED)
    since = min(window.start for window in windows) - timedelta(days=1)
    zone = _noon_zone()
    people = [
        {"customer_id": FIRST_ID + n, "registered_at": since, "consent_at": since, "phone": phone}
        | {"phone_hash": phone_hash(phone, b"a key for tests"), "time_zone": zone, "name": "Ada Lovelace"}
        for n, phone in enumerate(PHONES)
    ]
    bills = [
        {"customer_id": FIRST_ID + n, "purchased_at": window.start + timedelta(days=1), "amount_cents": 100}
        for n in range(PEOPLE)
        for window in windows
    ]
    with engine.begin() as conn:
        conn.execute(sa.insert(customer), people)
        conn.execute(sa.insert(purchase), bills)


def _remove_people(engine: sa.Engine) -> None:
    with engine.begin() as conn:
        for table in (purchase, app_session, customer):
            conn.execute(sa.delete(table).where(table.c.customer_id >= FIRST_ID))


def test_a_run_texts_everybody_once_and_whatever_is_run_again_texts_nobody(sending: Sending) -> None:
    run = sending.run(SENT)
    assert (run.state, run.states["message"]) == ("success", "success")
    assert sending.texted() == [1] * PEOPLE
    assert sending.fates(SENT) == {"accepted": PEOPLE}

    assert sending.run(SENT).state == "success"
    assert sending.airflow.clear(run.run_id, "message").state == "success"
    assert sending.airflow.clear(run.run_id).state == "success"
    [backfilled] = sending.airflow.backfill(SENT, SENT, reprocess="completed", send_late=True)
    assert backfilled.state == "success"
    assert sending.texted() == [1] * PEOPLE


def test_a_halt_stops_a_run_within_a_claim_and_resuming_sends_the_rest(sending: Sending) -> None:
    sending.set(messages_per_second="20")
    run_id = sending.start(HALTED)
    until(lambda: len(sending.double.posts) >= 10, "some messages are out")
    with sending.campaigns.engine.begin() as conn:
        campaign.halt(conn, HALTED, by="a test", why="a typo", as_of=datetime.now(UTC))
    at_halt = len(sending.double.posts)
    run = sending.airflow.wait_for(run_id)
    posted = len(sending.double.posts)
    assert run.state == "success"
    assert posted <= at_halt + 5 + 5  # on their way, and a quarter of a second ahead
    assert sending.fates(HALTED) == {"accepted": posted, "queued": PEOPLE - posted}
    assert "The campaign is halted" in sending.airflow.log(run_id, "message")

    assert sending.airflow.clear(run_id, "message").state == "success"
    assert len(sending.double.posts) == posted
    with sending.campaigns.engine.begin() as conn:
        campaign.resume(conn, HALTED, as_of=datetime.now(UTC))
    assert sending.airflow.clear(run_id, "message").state == "success"
    assert sending.texted() == [1] * PEOPLE


@pytest.mark.deep
def test_at_night_a_run_waits_outside_of_a_workers_slot_and_texts_everybody_when_the_hours_open(
    sending: Sending,
) -> None:
    in_a_while = datetime.now(UTC) + timedelta(seconds=85)  # the run takes some seconds to come so far
    opens = in_a_while.astimezone(ZoneInfo(_noon_zone()))
    sending.set(sending_hours=f"{opens:%H:%M}-24:00")
    run_id = sending.start(AT_NIGHT)
    state = lambda: sending.airflow.tasks(run_id)["message"]["state"]  # noqa: E731
    until(lambda: state() == "up_for_reschedule", "the task waits")
    assert sending.double.posts == []
    assert sending.fates(AT_NIGHT) == {"queued": PEOPLE}
    run = sending.airflow.wait_for(run_id)
    assert (run.state, run.tasks["message"]["try_number"]) == ("success", 1)
    assert sending.texted() == [1] * PEOPLE


@pytest.mark.deep
def test_a_task_marked_as_failed_stops_between_messages_and_the_page_goes_on_with_the_rest(
    sending: Sending, browser: Browser
) -> None:
    sending.set(messages_per_second="10")
    sending.double.delay = 0.1
    run_id = sending.start(KILLED)
    until(lambda: len(sending.double.posts) >= 5, "some messages are out")
    path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/message"
    sending.airflow.request("PATCH", path, json={"new_state": "failed"})
    until(lambda: _quiet(sending.double), "nothing goes out any more", within=30)
    assert len(sending.double.posts) < PEOPLE
    assert sending.airflow.wait_for(run_id).state == "failed"
    sending.set(messages_per_second="0")
    _an_hour_later(sending.campaigns.engine)

    page = browser.new_page()
    let_in(page, sending.airflow)
    page.goto(f"{sending.airflow.stack.home.url}/engage/campaigns")
    stuck = page.get_by_role("listitem").filter(has_text=days(KILLED.start, KILLED.end))
    expect(stuck).to_contain_text("no sender is at work")
    stuck.get_by_role("button", name="Go on…").click()
    page.get_by_role("button", name="Start the run").click()
    said = page.locator(".toast p")
    expect(said).to_contain_text("Started: ")
    started = said.inner_text().removeprefix("Started: ").rstrip(".")
    page.close()

    assert sending.airflow.wait_for(started).state == "success"
    conf = {"window_start": f"{KILLED.start:%Y-%m-%d}", "send_late": True}
    assert sending.airflow.request("GET", f"dags/{DAG_ID}/dagRuns/{started}")["conf"] == conf
    assert sending.fates(KILLED) == {"accepted": PEOPLE}
    assert sending.texted() == [1] * PEOPLE


def _an_hour_later(engine: sa.Engine) -> None:
    """Age what tells that a sender is at work."""
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE message_count SET last_claim_at = last_claim_at - interval '1 hour'"))
        conn.execute(sa.text("UPDATE campaign SET frozen_at = frozen_at - interval '1 hour'"))


def _quiet(double: TwilioDouble) -> bool:
    before = len(double.posts)
    time.sleep(1.5)
    return len(double.posts) == before


def test_no_phone_number_and_no_secret_is_in_any_log_xcom_or_rendered_field(sending: Sending) -> None:
    """After all of the above."""
    home = sending.airflow.stack.home
    logs = [file for folder in (home.logs, home.airflow / "logs") for file in folder.rglob("*") if file.is_file()]
    texts = {str(file): file.read_text(errors="replace") for file in logs}
    url = embedded_postgres.database_url(sending.airflow.stack.host, embedded_postgres.AIRFLOW_DATABASE)
    airflows = connection.connect(url)
    with airflows.connect() as conn:
        for table in ("xcom", "rendered_task_instance_fields", "task_instance", "dag_run", "log"):
            rows = conn.execute(sa.text(f"SELECT t::text FROM {table} AS t")).scalars().all()
            assert rows, table
            texts[table] = "\n".join(rows)
    airflows.dispose()
    assert any("messages" in text and "task_id=message" in name for name, text in texts.items())
    assert "accepted" in texts["xcom"]
    secrets = [TOKEN, *PHONES, *(phone[2:] for phone in PHONES)]
    assert [(name, secret) for name, text in texts.items() for secret in secrets if secret in text] == []
