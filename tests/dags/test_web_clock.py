"""On Engage's pages ages go by the database's clock, whatever the api-server's own clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
import time_machine

from engage.campaigns import message_counts
from engage.storage import partitions
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import message
from engage.window import ANCHOR, Window
from tests.dags.web_client import every_check, web_client

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

WINDOW = Window(ANCHOR)
NAMED = {"window_start": f"{WINDOW.start:%Y-%m-%d}"}


def a_session():
    """Airflow's database, without a Variable or a run."""
    return SimpleNamespace(scalar=lambda query: None, scalars=lambda query: [], execute=lambda query: [])


@pytest.fixture
def client(engine, monkeypatch):
    """A user who may do all, on an api-server whose clock is 3 hours ahead; there is one campaign."""
    blank = {"window_end": WINDOW.end, "status": "sending", "settings": {}, "events": {}, "rejected": {}}
    with engine.begin() as conn:
        conn.execute(sa.insert(campaign_table).values(window_start=WINDOW.start, opened_at=WINDOW.end, **blank))
    user, session = SimpleNamespace(get_name=lambda: "ada"), a_session()
    found = web_client(monkeypatch, engine, user=user, session=lambda: session, without=every_check())
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=3)):
        yield found


def true_now(engine):
    with engine.connect() as conn:
        return conn.execute(sa.select(sa.func.clock_timestamp())).scalar_one()


def is_now(engine, moment):
    return abs(true_now(engine) - moment) < timedelta(minutes=1)


def a_queued_message():
    values = {"window_start": WINDOW.start, "customer_id": 1, "bucket": "BOOST", "status": "queued",
              "queued_at": WINDOW.end}  # fmt: skip
    return sa.select(*(sa.cast(values.get(c.name), c.type).label(c.name) for c in message.columns))


def times(engine):
    with engine.connect() as conn:
        columns = (campaign_table.c.halted_at, campaign_table.c.resumed_at)
        return tuple(conn.execute(sa.select(*columns)).one())


def test_a_campaign_is_halted_and_resumed_at_the_databases_time(client, engine):
    assert client.post("/halt", json=NAMED | {"why": "a typo"}).status_code == 409  # no message of it waits
    with engine.begin() as conn:
        partitions.replace(conn, message, WINDOW, a_queued_message())
        message_counts.keep(conn, WINDOW, message_counts.counted(conn))
    assert client.post("/halt", json=NAMED | {"why": "a typo"}).status_code == 200
    assert is_now(engine, times(engine)[0])
    assert client.post("/resume", json=NAMED).status_code == 200
    assert times(engine)[0] is None
    assert is_now(engine, times(engine)[1])


def test_what_needs_the_operator_is_found_at_the_databases_time(client, engine, monkeypatch):
    import engage_web_campaigns

    seen = []
    listed = lambda *args, as_of, **rest: seen.append(as_of) or ""  # noqa: E731
    monkeypatch.setattr(engage_web_campaigns.campaign_list, "campaign_list", listed)
    assert client.get("/campaigns").status_code == 200
    assert is_now(engine, *seen)


def test_whether_a_window_is_late_goes_by_the_databases_time(client, engine, monkeypatch):
    import engage_web_campaigns as routes

    seen = []
    monkeypatch.setattr(routes.lateness, "is_late", lambda window, settings, as_of: seen.append(as_of) or True)
    monkeypatch.setattr(routes.engage_web_runs, "start_run", lambda *args, **rest: f"late: {args[2]}")
    assert client.post("/go-on", json=NAMED).json() == {"detail": "Started: late: {'send_late': True}."}
    assert is_now(engine, *seen)
