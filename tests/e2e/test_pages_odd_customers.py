"""Odd customers in a real browser: a report lists a bot, an operator excludes it, and the next list leaves it out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from tests.e2e.pages import Watched, violations
from tests.e2e.support import OP, VIEWER, Airflow, Campaigns, past_window

WINDOW = past_window(0)
START = f"{WINDOW.start:%Y-%m-%d}"
BOT_SESSIONS = """INSERT INTO app_session SELECT :id, cast(:start AS timestamptz) + n * interval '20 minutes'
    FROM generate_series(1, 3000) AS n"""


@pytest.fixture
def bot(airflow: Airflow, campaigns: Campaigns) -> Iterator[int]:
    """A customer who may be texted and opens the app 3,000 times in the window, whose campaign is a dry run."""
    campaigns.remove(WINDOW)
    assert airflow.run(seed=True, customers=300, rng_seed=1, window_start=START, dry_run=True).state == "success"
    may_be_texted = "SELECT min(customer_id) FROM customer WHERE phone IS NOT NULL AND opted_out_at IS NULL"
    [(found,)] = campaigns.rows(may_be_texted)
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text(BOT_SESSIONS), {"id": found, "start": WINDOW.start})
    assert airflow.run(window_start=START, dry_run=True).state == "success"
    yield found
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("DELETE FROM customer_exclusion"))
        within = "started_at >= :start AND started_at < :end"
        values = {"id": found, "start": WINDOW.start, "end": WINDOW.end}
        conn.execute(sa.text(f"DELETE FROM app_session WHERE customer_id = :id AND {within}"), values)
    campaigns.remove(WINDOW)


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_an_operator_excludes_a_bot_and_the_next_list_leaves_it_out(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, bot: int
) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/report?window_start={START}")
    row = page.get_by_role("table", name="Customers beyond a limit").get_by_role("row", name=str(bot))
    expect(row).to_contain_text("2,800 sessions")
    row.get_by_role("button", name="Exclude…").click()
    dialog = page.get_by_role("dialog", name=f"Exclude customer {bot} from all texts?")
    assert violations(page) == []
    dialog.get_by_label("Why").fill("a bot")
    dialog.get_by_role("button", name="Exclude").click()
    expect(row).to_contain_text("Excluded")
    expect(row.get_by_role("button")).to_have_count(0)

    assert airflow.run(window_start=START, send_late=True).state == "success"
    fates = "SELECT status, reason FROM message WHERE window_start = :start AND customer_id = :id"
    assert campaigns.rows(fates, start=WINDOW.start, id=bot) == [("skipped", "excluded")]

    row.get_by_role("link", name=str(bot)).click()
    expect(page.get_by_text("Not texted: excluded by an operator")).to_be_visible()
    expect(page.get_by_text(f"by {OP}: a bot")).to_be_visible()
    page.get_by_role("button", name="Include again…").click()
    page.get_by_role("dialog").get_by_role("button", name="Include again").click()
    expect(page.get_by_role("button", name="Exclude…")).to_be_visible()
    assert campaigns.rows("SELECT count(*) FROM customer_exclusion") == [(0,)]


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_sees_the_bot_and_no_button(watched: Watched, bot: int) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/report?window_start={START}")
    row = page.get_by_role("table", name="Customers beyond a limit").get_by_role("row", name=str(bot))
    expect(row).to_contain_text("sessions")
    expect(page.get_by_role("button", name="Exclude…")).to_have_count(0)
    page.goto(f"{watched.home.url}/engage/customer?customer_id={bot}")
    expect(page.get_by_role("heading", name=f"Customer {bot}")).to_be_visible()
    expect(page.get_by_role("button", name="Exclude…")).to_have_count(0)
