"""An odd day in a browser: the guard stops the run, an op explains the day on the report, and the next run sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from tests.e2e.pages import violations, watching
from tests.e2e.support import OP, VIEWER, Airflow, Campaigns, past_window

HISTORY, ODD = (past_window(8), past_window(9)), past_window(10)
START = f"{ODD.start:%Y-%m-%d}"
DAY = ODD.start + timedelta(days=8)
WHY = "a storm closed all restaurants"


@pytest.fixture
def stopped(airflow: Airflow, campaigns: Campaigns, set_variable: Callable[[str, str], None]) -> Iterator[None]:
    """A campaign that the guard has stopped for a day without events, after two windows as usual."""
    for window in (*HISTORY, ODD):
        campaigns.remove(window)
        conf = {"seed": True, "customers": 300, "rng_seed": 1, "dry_run": True}
        assert airflow.run(**conf, window_start=f"{window.start:%Y-%m-%d}").state == "success"
    within = {"first": DAY, "last": DAY + timedelta(days=1)}
    with campaigns.engine.begin() as conn:
        for table, time in (("app_session", "started_at"), ("purchase", "purchased_at")):
            conn.execute(sa.text(f"DELETE FROM {table} WHERE {time} >= :first AND {time} < :last"), within)
    set_variable("guard_rhythm", "stop")
    assert airflow.run(window_start=START, send_late=True).states["extract"] == "failed"
    yield
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("DELETE FROM explained_day"))
    for window in (*HISTORY, ODD):
        campaigns.remove(window)


def report(page: Page, airflow: Airflow) -> Page:
    """The report, outside of Airflow's frame."""
    page.goto(f"{airflow.stack.home.url}/engage/report?window_start={START}")
    return page


@pytest.mark.usefixtures("stopped")
def test_an_op_explains_an_odd_day_and_the_campaign_goes_on(
    browser: Browser, airflow: Airflow, campaigns: Campaigns
) -> None:
    with watching(browser, airflow, OP) as watched:
        page = report(watched.page, airflow)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Stopped by the guard")
        expect(page.get_by_text(f"On {DAY:%A %Y-%m-%d} there were 0 sessions, and about")).to_be_visible()
        page.get_by_role("link", name="Look at the days").click()
        row = page.get_by_role("table", name="Days that are odd or explained").get_by_role("row", name=f"{DAY:%A}")
        expect(row).to_contain_text("0 purchases")
        assert violations(page) == []
        row.get_by_role("button", name="Explain…").click()
        dialog = page.get_by_role("dialog", name="Explain")
        dialog.get_by_label("Reason").fill(WHY)
        dialog.get_by_role("button", name="Explain").click()
        expect(row).to_contain_text(WHY)
        expect(page.get_by_role("heading", level=1)).not_to_contain_text("Stopped by the guard")
        assert campaigns.rows("SELECT day, source, reason, explained_by FROM explained_day") == [
            (DAY.date(), "all", WHY, OP)
        ]
        assert airflow.run(window_start=START, send_late=True).state == "success"
        assert campaigns.messages(ODD)["accepted"] > 0

        report(page, airflow)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Sent")
        row.get_by_role("button", name="Take back…").click()
        page.get_by_role("dialog").get_by_role("button", name="Take back").click()
        expect(row.get_by_role("button", name="Explain…")).to_be_visible()
        assert campaigns.rows("SELECT 1 FROM explained_day") == []
        assert watched.errors == []
    logged = airflow.request("GET", "eventLogs", params={"owner": OP})["event_logs"]
    assert {"engage.explain_days", "engage.unexplain_days"} <= {one["event"] for one in logged}
    with watching(browser, airflow, VIEWER) as watched:
        page = report(watched.page, airflow)
        expect(page.get_by_role("row", name=f"{DAY:%A}").first).to_contain_text("odd")
        for name in ("Explain…", "Take back…"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
