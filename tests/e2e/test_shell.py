"""What all pages share, in a real browser: accessibility, themes, the frame, keyboard, errors and the files' cache."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from engage.airflow_names import DAG_ID
from engage.local.stack import ADMIN
from engage.pages import static_files
from tests.e2e.browser import let_in
from tests.e2e.pages import DATES, SENT, START, Watched, violations, watching
from tests.e2e.support import Airflow, Run

PAGES = {
    "campaigns": 200,
    "campaigns?show=sent&trend=delivery": 200,
    f"report?window_start={START}": 200,
    f"approval?window_start={START}": 200,
    "segments": 200,
    "customer": 200,
    "customer?customer_id=1": 200,
    "import": 200,
    "messages": 200,
    f"message?window_start={SENT}&customer_id=1": 200,
    "settings": 200,
    "activity": 200,
    "gallery": 200,
    "no-such-page": 404,
    "report?window_start=2025-01-07": 400,
}
WIDTHS = (390, 1280)
THEMES = ("light", "dark")
TEXT_PX = 11
SMALL_TEXT = f"""() => [...document.querySelectorAll('body *')]
  .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  .filter(element => element.checkVisibility())
  .filter(element => parseFloat(getComputedStyle(element).fontSize) < {TEXT_PX})
  .map(element => element.outerHTML.slice(0, 100))"""


@pytest.fixture(params=THEMES)
def themed(browser: Browser, airflow: Airflow, computed: Run, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A logged-in browser page in one theme, outside of Airflow's frame."""
    with watching(browser, airflow, ADMIN, request.param) as found:
        yield found


@pytest.mark.parametrize("address", PAGES)
def test_axe_finds_nothing_on_any_page(themed: Watched, address: str) -> None:
    page = themed.page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        answer = page.goto(f"{themed.home.url}/engage/{address}")
        assert answer is not None
        assert answer.status == PAGES[address]
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(SMALL_TEXT) == []
        if PAGES[address] != 200:
            themed.errors.clear()  # the browser counts such an answer as one
        assert themed.errors == []
        assert violations(page) == []


def test_axe_finds_nothing_in_any_dialog(themed: Watched) -> None:
    page = themed.page
    for address in (
        "campaigns",
        "gallery",
        "segments",
        "settings",
        f"report?window_start={START}",
        "messages",
        "customer?customer_id=1",
    ):
        page.goto(f"{themed.home.url}/engage/{address}")
        for opener in page.locator("[data-opens]:enabled").all():
            opener.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            assert violations(page) == []
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
    assert themed.errors == []


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_no_page_scrolls_sideways(watched: Watched, width: int) -> None:
    watched.page.set_viewport_size({"width": width, "height": 900})
    for address in [address for address, status in PAGES.items() if status == 200]:
        watched.page.goto(f"{watched.home.url}/engage/{address}")
        expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_takes_airflows_colours_and_fonts(watched: Watched) -> None:
    watched.open_campaigns()
    expect(watched.frame.get_by_role("heading", level=1)).to_be_visible()
    own = watched.frame.locator("html")
    script = "(element, name) => getComputedStyle(element).getPropertyValue(name)"
    for name in ("--chakra-colors-bg", "--chakra-colors-success-fg", "--chakra-fonts-body", "--chakra-radii-lg"):
        theirs = watched.page.locator("html").evaluate(script, name)
        assert theirs
        assert own.evaluate(script, name) == theirs
    light = own.evaluate(script, "--chakra-colors-bg")
    watched.page.emulate_media(color_scheme="dark")
    expect(own).to_have_attribute("data-theme", "dark")
    assert own.evaluate(script, "--chakra-colors-bg") != light
    watched.page.evaluate("document.documentElement.style.setProperty('--chakra-colors-brand-solid', '#800080')")
    watched.page.emulate_media(color_scheme="light")
    expect(own).to_have_attribute("data-theme", "light")
    assert own.evaluate(script, "--chakra-colors-brand-solid") == "#800080"


def test_times_follow_the_zone_that_is_chosen_in_airflow(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/gallery")
    time = watched.page.locator("time[data-form=second]").first
    watched.page.evaluate("localStorage.setItem('timezone', JSON.stringify('Asia/Tokyo'))")
    watched.page.reload()
    expect(time).to_have_text("26 Nov 2026, 23:08:02 GMT+9")
    watched.page.evaluate("localStorage.setItem('timezone', JSON.stringify('UTC'))")
    watched.page.reload()
    expect(time).to_have_text("26 Nov 2026, 14:08:02 UTC")


def test_the_way_in_is_the_outline_of_a_page_that_goes_on_to_the_campaigns(watched: Watched) -> None:
    answer = httpx.get(f"{watched.home.url}/engage/", cookies=_cookies(watched), trust_env=False)
    assert 'class="skeleton"' in answer.text
    watched.page.goto(f"{watched.home.url}/engage/")
    watched.page.wait_for_url("**/engage/campaigns")
    expect(watched.page.get_by_role("link", name="Campaigns")).to_have_attribute("aria-current", "page")
    expect(watched.page.get_by_text("Next campaign in")).to_be_visible()


def test_a_page_that_takes_its_time_has_an_outline_meanwhile(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/campaigns")
    watched.page.route("**/engage/segments", lambda route: (watched.page.wait_for_timeout(1500), route.continue_()))
    watched.page.evaluate(
        """new MutationObserver(() => sessionStorage.setItem('seen', document.querySelector('main').innerHTML))
          .observe(document.querySelector('main'), { childList: true })"""
    )
    watched.page.get_by_role("navigation", name="Engage").get_by_role("link", name="Segments").click()
    expect(watched.page.get_by_role("heading", name="Segments")).to_be_visible()
    assert 'class="skeleton"' in watched.page.evaluate("sessionStorage.getItem('seen')")


def _cookies(watched: Watched) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in watched.page.context.cookies()}


@pytest.mark.parametrize("button", ["middle", "Control"])
def test_a_link_opens_a_new_tab_inside_airflow(watched: Watched, button: str) -> None:
    watched.open_campaigns()
    link = watched.frame.get_by_role("link", name=DATES, exact=True)
    with watched.page.context.expect_page() as opened:
        if button == "middle":
            link.click(button="middle")
        else:
            link.click(modifiers=["Control"])
    tab = opened.value
    expect(tab.frame_locator("iframe").get_by_role("heading", name=f"Campaign of {DATES}")).to_be_visible()
    expect(watched.frame.get_by_role("heading", name="Campaigns", exact=True)).to_be_visible()
    tab.close()


def test_in_a_runs_tab_no_link_changes_the_campaign_under_the_runs_heading(watched: Watched, computed: Run) -> None:
    watched.page.goto(f"{watched.home.url}/dags/{DAG_ID}/runs/{computed.run_id}/plugin/engage-report")
    frame = watched.frame
    expect(frame.get_by_role("heading", name=f"Campaign of {DATES}")).to_be_visible()
    expect(frame.get_by_role("navigation")).to_have_count(0)
    frame.get_by_role("link", name="Segments").click()
    watched.page.wait_for_url("**/plugin/engage/engage/segments*")
    expect(frame.get_by_role("heading", name="Segments")).to_be_visible()
    expect(frame.get_by_role("navigation", name="Engage")).to_be_visible()


def test_an_error_is_a_page_with_ways_on(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/far/away")
    expect(watched.page.get_by_role("heading", name="That cannot be found")).to_be_visible()
    watched.errors.clear()  # the browser counts the answer of 404 as one
    watched.page.get_by_role("link", name="Try again").click()
    expect(watched.page.get_by_role("heading", name="That cannot be found")).to_be_visible()
    watched.page.get_by_role("link", name="All campaigns").click()
    watched.page.wait_for_url("**/engage/campaigns")
    watched.errors.clear()


def test_a_chart_can_be_read_with_the_keyboard(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/gallery")
    chart = watched.page.get_by_role("application", name="Customers by bucket")
    said = watched.page.locator("figure").first.locator("[aria-live]")
    chart.focus()
    chart.press("ArrowRight")
    expect(said).to_have_text(
        "2025-01-06 to 2025-03-03, NONE 8,520 (85.2%), REWARD 910 (9.1%), BOOST 570 (5.7%)", use_inner_text=False
    )
    chart.press("End")
    chart.press("ArrowLeft")
    expect(said).to_have_text("2025-12-08 to 2026-02-02, guard")
    watched.page.locator("figure summary").first.click()
    table = watched.page.locator("figure").first.get_by_role("table")
    expect(table.get_by_role("row", name="guard").or_(table.get_by_role("row", name="not computed"))).to_be_visible()


def test_without_a_script_a_chart_is_a_drawing_and_a_table(browser: Browser, airflow: Airflow, computed: Run) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    let_in(page, airflow, ADMIN)
    page.goto(f"{airflow.stack.home.url}/engage/report?window_start={START}")
    expect(page.get_by_role("img", name="Customers by spend and weekly sessions")).to_be_visible()
    page.get_by_text("The numbers as a table").first.click()
    expect(page.get_by_role("table", name="Spend over the 8 weeks")).to_be_visible()
    context.close()


def test_a_dialog_opens_and_closes_with_the_keyboard_and_gives_the_focus_back(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/gallery")
    opener = watched.page.get_by_role("button", name="Open a dialog…")
    opener.focus()
    watched.page.keyboard.press("Enter")
    dialog = watched.page.get_by_role("dialog", name="Set the thresholds")
    expect(dialog).to_be_visible()
    for _ in range(8):
        watched.page.keyboard.press("Tab")
        inside = watched.page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert inside
    watched.page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(opener).to_be_focused()


def test_a_toast_can_take_an_action_back_with_the_keyboard(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/gallery")
    watched.page.route("**/engage/undo", lambda route: route.fulfill(json={"detail": "Taken back."}))
    watched.page.evaluate("engage.toast('Set.', {undo: {action: 'undo', body: {}}})")
    toasts = watched.page.get_by_role("region", name="Notifications")
    expect(toasts).to_contain_text("Set.")
    toasts.get_by_role("button", name="Undo").focus()
    watched.page.keyboard.press("Enter")
    expect(toasts).to_contain_text("Taken back.")


def test_an_error_of_a_form_stands_at_its_field(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/gallery")
    answer = {"detail": "No.", "errors": {"amount": "'x' is not a number."}}
    watched.page.route("**/engage/gallery", lambda route: route.fulfill(status=400, json=answer))
    watched.page.get_by_label("A number").press("Enter")
    field = watched.page.get_by_label("A number")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("'x' is not a number.")
    watched.errors.clear()  # the browser counts the answer of 400 as one


def test_a_file_is_kept_for_ever_and_a_page_never(clients: dict[str, httpx.Client]) -> None:
    http = clients[ADMIN]
    page = http.get("/engage/campaigns")
    assert page.headers["cache-control"] == "no-store"
    for name in static_files.names():
        answer = http.get(f"/engage/{static_files.address(name)}")
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert answer.text == static_files.content(name)
    old = http.get("/engage/static/page.000000000000.css")
    assert (old.status_code, old.headers["cache-control"]) == (404, "no-store")


def test_a_login_that_has_ended_is_a_page_with_the_way_to_log_in(clients: dict[str, httpx.Client]) -> None:
    answer = clients["anonymous"].get("/engage/campaigns")
    assert answer.status_code == 401
    assert "You are not logged in" in answer.text
    assert '<a class="button primary" href="/">Log in</a>' in answer.text
