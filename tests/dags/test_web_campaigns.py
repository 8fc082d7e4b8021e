"""What a page about one campaign reads from the databases."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.storage.schema import campaign as campaign_table
from engage.window import ANCHOR, Window
from tests.dags.web_client import every_check, web_client

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

WINDOW = Window(ANCHOR)
START = f"{WINDOW.start:%Y-%m-%d}"


@pytest.fixture
def asked():
    """What Airflow was asked."""
    return []


@pytest.fixture
def client(engine, monkeypatch, asked):
    """A user who may do all, with one campaign."""
    blank = {"window_end": WINDOW.end, "status": "bucketed", "settings": {}, "events": {}, "rejected": {}}
    values = {"window_start": WINDOW.start, "run_id": "a run", "opened_at": WINDOW.end}
    with engine.begin() as conn:
        conn.execute(sa.insert(campaign_table).values(**values, **blank))
    session = SimpleNamespace(
        scalar=lambda query: SimpleNamespace(conf={"window_start": START}),
        scalars=lambda query: [],
        execute=lambda query: asked.append(query.compile().params) or [],
    )
    user = SimpleNamespace(get_name=lambda: "ada")
    return web_client(monkeypatch, engine, user=user, session=lambda: session, without=every_check())


@pytest.fixture
def loaded(monkeypatch):
    """The windows whose campaigns were loaded."""
    found = []
    find = campaign.find
    monkeypatch.setattr(campaign, "find", lambda conn, window, **rest: found.append(window) or find(conn, window))
    return found


@pytest.mark.parametrize("address", ["/report", "/approval"])
def test_a_page_loads_its_campaign_once(client, loaded, address):
    assert client.get(f"{address}?window_start={START}").status_code == 200
    assert loaded == [WINDOW]


def test_a_runs_tab_loads_its_campaign_once(client, loaded, monkeypatch):
    import engage_web_campaigns

    monkeypatch.setattr(engage_web_campaigns, "window_of", lambda *about: WINDOW)
    assert client.get("/run?dag_id=customer_engagement&run_id=x").status_code == 200
    assert loaded == [WINDOW]


def test_a_report_asks_airflow_about_the_run_that_computed_the_campaign(client, asked):
    client.get(f"/report?window_start={START}")
    assert [params["run_id_1"] for params in asked] == [["a run"]]
