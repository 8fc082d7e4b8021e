"""What the texts did, on Engage's pages in a real browser, as a viewer sees it: words, whiskers, and the files."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from engage.campaigns import measured_arms
from engage.storage.schema import campaign, campaign_lift
from tests.e2e.conftest import client
from tests.e2e.pages import SENT, WINDOW, Watched, violations
from tests.e2e.support import VIEWER, Airflow, Campaigns, Run
from tests.measured import CLEAR, holdout, texted

SENT_WINDOW = WINDOW.previous()
EARLIER = (texted("BOOST", 9000, 2790, spend=5100.0), holdout("BOOST", 1000, 280, spend=4700.0))
SECTION = "section[aria-labelledby=lift]"
INSIDE = """() => [...document.querySelectorAll('.whisker')].every(svg => {
  const cell = svg.closest('td').getBoundingClientRect();
  return [...svg.querySelectorAll('line, circle')].every(one => {
    const box = one.getBoundingClientRect();
    return box.left >= cell.left - 12 && box.right <= cell.right + 12;
  });
})"""


@pytest.fixture(scope="module", autouse=True)
def measured(campaigns: Campaigns, computed: Run) -> Iterator[None]:
    """The campaign that was sent and the one after it are measured, with a planned holdout."""
    windows = {SENT_WINDOW: CLEAR, WINDOW: EARLIER}
    of_both = campaign.c.window_start.in_([window.start for window in windows])
    with campaigns.engine.begin() as conn:
        before = dict(conn.execute(sa.select(campaign.c.window_start, campaign.c.settings).where(of_both)).all())
        conn.execute(
            sa.update(campaign)
            .where(of_both)
            .values(
                settings=campaign.c.settings.concat({"holdout_percent": 10, "price_per_segment": 0.0079}),
                variants={"REWARD": {"weights": {"a": 0.5, "b": 0.5}, "why": "equal weights"}},
            )
        )
        for window, arms in windows.items():
            measured_arms.keep(conn, window, arms)
    yield
    with campaigns.engine.begin() as conn:
        conn.execute(sa.delete(campaign_lift))
        for start, settings in before.items():
            values = {"settings": settings, "variants": None}
            conn.execute(sa.update(campaign).where(campaign.c.window_start == start).values(values))


def opened(seen: Watched, address: str, width: int) -> Page:
    page = seen.open_at(address, width)
    expect(page.locator(SECTION)).to_be_visible()
    page.locator(f"{SECTION} details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    return page


@pytest.mark.parametrize("width", [360, 390, 800, 1280])
@pytest.mark.parametrize("address", [f"report?window_start={SENT}", "campaigns"])
def test_a_viewer_reads_what_the_texts_did_at_any_width(seen: Watched, address: str, width: int) -> None:
    page = opened(seen, address, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(INSIDE)
    assert violations(page) == []


def test_words_come_first_and_a_keyboard_opens_the_rest(seen: Watched) -> None:
    seen.page.goto(f"{seen.home.url}/engage/report?window_start={SENT}")
    section = seen.page.locator(SECTION)
    expect(section.locator("li").first).to_contain_text("Texted BOOST customers bought again more often by 5.0 points")
    expect(section.get_by_role("table").first).to_contain_text("+2.0 to +7.8 points")
    fold = section.locator("summary", has_text="How sure that is")
    expect(section.get_by_text("Sample-ratio p", exact=True)).to_be_hidden()
    fold.focus()
    seen.page.keyboard.press("Enter")
    expect(section.get_by_role("columnheader", name="Sample-ratio p")).to_be_visible()


def test_the_whisker_of_a_row_ends_where_its_numbers_are(seen: Watched) -> None:
    page = opened(seen, f"report?window_start={SENT}", 1280)
    row = page.locator(f"{SECTION} table").first.locator("tbody tr").first
    ends = row.locator(".span").evaluate_all("all => all.map(one => one.getBoundingClientRect().left)")
    zero = row.locator(".zero").bounding_box()
    dot = row.locator("circle").bounding_box()
    assert zero
    assert dot
    middle = dot["x"] + dot["width"] / 2 - zero["x"]
    assert (ends[1] - zero["x"]) / middle == pytest.approx(2.0 / 5.0, abs=0.05)
    assert (ends[2] - zero["x"]) / middle == pytest.approx(7.8 / 5.0, abs=0.05)


def test_the_list_leads_to_the_section_of_a_report(seen: Watched) -> None:
    page = opened(seen, "campaigns", 1280)
    expect(page.locator(SECTION)).to_contain_text("Over 2 measured campaigns, texted customers bought again more often")
    page.locator(SECTION).get_by_role("link", name=str(SENT_WINDOW.start.day)).first.click()
    page.wait_for_url("**/report?window_start=*#lift")
    expect(page.get_by_role("heading", name="What it did")).to_be_visible()


def test_a_viewer_gets_both_files(airflow: Airflow) -> None:
    with client(airflow, VIEWER) as http:
        one, both = (answer(http, address) for address in (f"lift.csv?window_start={SENT}", "lift.csv"))
    assert one[0].startswith("window_start,segment,text,metric,decides")
    assert len(one) == 1 + 3 + 9
    assert both == one  # the other campaign was a dry run


def answer(http: httpx.Client, address: str) -> list[str]:
    found = http.get(f"/engage/{address}")
    assert found.status_code == 200
    assert found.headers["content-type"].startswith("text/csv")
    assert "attachment" in found.headers["content-disposition"]
    return found.text.splitlines()
