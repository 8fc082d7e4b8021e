"""The running window in a real browser: its card on *Campaigns*, and its customers to try rules on in *Segments*."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from engage import live
from engage.campaigns.live_window import LiveWindow
from engage.settings import validate
from engage.storage.schema import live_activity, live_bucket, live_window
from engage.window import LENGTH, Window
from tests.e2e.pages import Watched, violations
from tests.e2e.support import OP, Campaigns, Run

DAY = timedelta(days=1)
CARD = "section[aria-labelledby=live]"
EVENTS = """INSERT INTO {table} SELECT 1 + n % 300, cast(:start AS timestamptz) + n * cast(:step AS interval){cents}
    FROM generate_series(1, {number}) AS n"""


@pytest.fixture(scope="module")
def computed_live(campaigns: Campaigns, computed: Run) -> Iterator[LiveWindow]:
    """The live window of events of all customers, on its 9th day or later."""
    window = Window.containing(datetime.now(UTC))
    as_of = max(window.start + 8 * DAY, datetime.now(UTC))
    step = (as_of - 3 * DAY - window.start) / 12_001  # the guard tells of the days without an event
    tables = {"app_session": ("", 12_000), "purchase": (", 100 * (n % 300)", 600)}
    with campaigns.engine.begin() as conn:
        for table, (cents, number) in tables.items():
            fill = EVENTS.format(table=table, cents=cents, number=number)
            conn.execute(sa.text(fill), {"start": window.start, "step": step})
    settings = validate({"price_per_segment": "0.0079", "guard_max_quiet_days": "2"})
    yield live.compute(campaigns.engine, settings, as_of=as_of)
    with campaigns.engine.begin() as conn:
        for table, time in (("app_session", "started_at"), ("purchase", "purchased_at")):
            conn.execute(sa.text(f"DELETE FROM {table} WHERE {time} >= :start"), {"start": window.start})
        for one in (live_window, live_activity, live_bucket):
            conn.execute(sa.delete(one))


@pytest.mark.parametrize("width", [390, 1280])
def test_a_viewer_reads_what_the_running_window_leads_to(seen: Watched, computed_live: LiveWindow, width: int) -> None:
    page = seen.open_at("campaigns", width)
    card = page.locator(CARD)
    ahead = computed_live.projection
    assert ahead is not None
    expect(card.get_by_text(f"of {LENGTH.days} · ")).to_be_visible()
    expect(card.get_by_role("row", name="Sessions")).to_contain_text(f"{ahead.events['sessions']:,}")
    expect(card.get_by_role("row", name="Messages")).to_contain_text(f"{ahead.messages:,}")
    expect(card.get_by_role("row", name="BOOST")).to_contain_text(f"{computed_live.buckets['BOOST']:,}")
    expect(card.get_by_role("columnheader", name="Projection").first).to_be_visible()
    expect(card.get_by_role("heading", name="What the guard finds so far")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_a_viewer_tries_rules_on_the_customers_so_far(seen: Watched, computed_live: LiveWindow, width: int) -> None:
    page = seen.open_at("campaigns", width)
    page.locator(CARD).get_by_role("link", name="Try rules on these customers").click()
    expect(page.get_by_role("heading", name="The window is still running")).to_be_visible()
    expect(page.get_by_label("Counted over the customers of")).to_have_value(f"{computed_live.window.start:%Y-%m-%d}")
    expect(page.locator("#counts")).to_contain_text(f"{computed_live.buckets['BOOST']:,}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_an_operator_counts_a_draft_over_the_customers_so_far(watched: Watched, computed_live: LiveWindow) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/segments?window_start={computed_live.window.start:%Y-%m-%d}")
    page.get_by_label("Low spend threshold", exact=True).fill("0")
    expect(page.locator("[data-then=BOOST]")).to_have_text("0")
    expect(page.locator("[data-may-be-texted]")).to_be_visible()
    expect(page.get_by_role("button", name="Send to me…")).to_have_count(0)
    expect(page.get_by_role("button", name="Set for the next campaign…")).to_be_enabled()
