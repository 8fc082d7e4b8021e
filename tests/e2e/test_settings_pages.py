"""Texts and settings and Activity in a real browser: as viewer, user and op, with pointer and keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from playwright.sync_api import Dialog, Page, expect

from engage.local.stack import ADMIN
from engage.settings import GROUPS, Settings
from tests.e2e.pages import DATES, EVIL, Watched, both_themes, violations
from tests.e2e.support import OP, USER, VIEWER, Airflow

Edit = Callable[[str, str], None]
BOOST_TEXT = Settings().message_boost
as_op = pytest.mark.parametrize("watched", [OP], indirect=True)


@pytest.fixture
def variables(airflow: Airflow) -> Iterator[Callable[[str], str | None]]:
    """Reads a setting's Variable; None if there is none. The end of the test brings all defaults back."""

    def read(name: str) -> str | None:
        answer = airflow.http.get(f"/api/v2/variables/engage_{name}")
        return str(answer.json()["value"]) if answer.status_code == 200 else None

    yield read
    airflow.add_default_variables()
    for name in ("message_boost", "max_segments", "approval_hours"):
        airflow.set_variable(f"engage_{name}", str(Settings().model_dump()[name]))


def opened(watched: Watched, address: str) -> Page:
    watched.page.goto(f"{watched.home.url}/engage/{address}")
    expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
    return watched.page


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()


# --- texts


@as_op
def test_an_op_writes_a_text_and_sees_it_on_a_phone(watched: Watched, variables: Callable[[str], str | None]) -> None:
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/settings")
    frame = watched.frame
    field = frame.get_by_label("Text for BOOST", exact=True)
    field.fill("Hi , we miss you. Reply STOP to opt out.")
    field.evaluate("element => element.setSelectionRange(3, 3)")
    frame.get_by_role("button", name="+ first name").first.click()
    expect(field).to_have_value("Hi {{ first_name }}, we miss you. Reply STOP to opt out.")
    bubbles = frame.locator("#message_boost-bubbles")
    expect(bubbles.get_by_text("Hi Ada, we miss you.")).to_be_visible()
    frame.get_by_role("button", name="Longest name").first.click()
    expect(bubbles.get_by_text("Hi Maximilian, we miss you.")).to_be_visible()
    expect(bubbles.get_by_text("Hi Ada, we miss you.")).not_to_be_visible()
    frame.get_by_role("button", name="No name").first.click()
    expect(bubbles.get_by_text("Hi there, we miss you.")).to_be_visible()
    both_themes(watched.page, "texts", 900)

    field.fill("Hi {{ first_name }} – we miss you")
    facts = frame.locator("#message_boost-facts")
    expect(facts).to_contain_text("EN DASH")
    expect(facts).to_contain_text("Engage adds “Reply STOP to opt out.” at its end")
    expect(
        bubbles.get_by_text("Hi there – we miss you Reply STOP to opt out.")
    ).to_be_visible()  # the switch has stayed

    frame.get_by_role("button", name="Save 1 change…").click()
    row = frame.get_by_role("dialog").get_by_role("row", name="Text for BOOST")
    expect(row).to_contain_text(BOOST_TEXT)
    expect(row).to_contain_text("Hi {{ first_name }} – we miss you")
    frame.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    region = frame.get_by_role("region", name="Notifications")
    expect(region).to_contain_text("Saved: “Text for BOOST”. The next campaign takes it.")
    assert variables("message_boost") == "Hi {{ first_name }} – we miss you"
    region.get_by_role("button", name="Undo").click()
    expect(region).to_contain_text("Taken back: “Text for BOOST”.")
    assert variables("message_boost") == BOOST_TEXT
    expect(frame.get_by_label("Text for BOOST", exact=True)).to_have_value(BOOST_TEXT)


@as_op
def test_a_text_is_checked_as_it_is_typed_also_against_other_settings(watched: Watched) -> None:
    page = opened(watched, "settings")
    field = page.get_by_label("Text for BOOST", exact=True)
    field.fill("Hi {{ nobody }}")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#message_boost-error")).to_contain_text("{{ nobody }} is no placeholder")
    expect(page.get_by_role("button", name="Save 1 change…")).to_be_disabled()
    expect(page.get_by_role("status").filter(has_text="1 setting is wrong")).to_be_visible()
    assert violations(page) == []
    field.fill("x" * 200 + " Reply STOP to opt out.")
    expect(page.get_by_role("button", name="Save 1 change…")).to_be_enabled()
    page.get_by_label("Longest text").fill("1")
    expect(page.locator("#message_boost-error")).to_contain_text("“Longest text” allows 1")
    expect(page.get_by_role("button", name="Save 2 changes…")).to_be_disabled()
    page.get_by_role("button", name="Take back the change of Longest text").click()
    expect(page.locator("#message_boost-error")).to_be_empty()
    page.get_by_role("button", name="Take back the change of Text for BOOST").click()
    expect(page.get_by_role("button", name="Save…")).to_be_disabled()


# --- settings


@as_op
def test_a_setting_is_reset_to_its_default_and_back(
    watched: Watched, airflow: Airflow, variables: Callable[[str], str | None]
) -> None:
    airflow.set_variable("engage_approval_hours", "7")
    page = opened(watched, "settings#approval")
    expect(page.get_by_label("Text for BOOST", exact=True)).not_to_be_visible()
    marks = {name: page.locator(f"[data-setting={name}] [data-mark=default]") for name in Settings.model_fields}
    assert marks["approval_hours"].get_attribute("hidden") is not None
    assert marks["guard_min_volume_percent"].get_attribute("hidden") is None  # its Variable is 50.0, and the default 50
    page.get_by_role("button", name="Reset to the default, 48 for Hours to wait").click()
    expect(page.get_by_label("Hours to wait for the approver")).to_have_value("48")
    page.get_by_label("Ask an approver before messages go out").check()
    save(page)
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")
    assert (variables("approval_hours"), variables("require_approval")) == (None, "true")
    expect(page.get_by_label("Hours to wait for the approver")).to_be_visible()  # the group has stayed
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Taken back: ")
    assert (variables("approval_hours"), variables("require_approval")) == ("7", "false")


@as_op
def test_what_another_user_changed_meanwhile_is_shown_and_not_overwritten(
    watched: Watched, airflow: Airflow, variables: Callable[[str], str | None]
) -> None:
    page = opened(watched, "settings#approval")
    field = page.get_by_label("Hours to wait for the approver")
    field.fill("5")
    airflow.set_variable("engage_approval_hours", "9")
    save(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("another user has changed “Hours to wait for the approver”")
    watched.errors.clear()  # the browser counts the answer of 409 as one
    assert variables("approval_hours") == "9"
    expect(dialog.get_by_role("row", name="Hours to wait")).to_contain_text("9")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")
    assert variables("approval_hours") == "5"


@as_op
@pytest.mark.parametrize("framed", [False, True])
def test_unsaved_changes_are_not_lost_without_a_question(watched: Watched, framed: bool) -> None:
    watched.page.goto(f"{watched.home.url}/{'plugin/engage/engage' if framed else 'engage'}/settings#approval")
    page = watched.frame if framed else watched.page
    page.get_by_role("link", name="Approval").click()
    page.get_by_label("Hours to wait for the approver").fill("5")
    page.get_by_role("link", name="Activity").click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    expect(dialog).to_contain_text("1 change")
    dialog.get_by_role("button", name="Stay").click()
    expect(page.get_by_label("Hours to wait for the approver")).to_have_value("5")
    page.get_by_role("link", name="Activity").click()
    dialog.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()


@as_op
@pytest.mark.parametrize("framed", [False, True])
def test_a_reload_with_unsaved_changes_asks_first(watched: Watched, framed: bool) -> None:
    watched.page.goto(f"{watched.home.url}/{'plugin/engage/engage' if framed else 'engage'}/settings")
    page = watched.frame if framed else watched.page
    page.get_by_role("link", name="Approval").click()
    page.get_by_label("Hours to wait for the approver").fill("5")
    expect(page.get_by_role("button", name="Save 1 change")).to_be_enabled()  # the script has seen it
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    watched.page.on("dialog", answer)
    watched.page.reload()
    expect(page.get_by_role("heading", name="Texts and settings")).to_be_visible()
    assert asked == ["beforeunload"]


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize("watched", [VIEWER, USER], indirect=True)
def test_who_may_not_read_the_variables_sees_the_last_campaigns_settings(
    watched: Watched, airflow: Airflow, set_variable: Edit
) -> None:
    set_variable("alert_emails", "ops@example.com")
    page = opened(watched, "settings")
    expect(page.get_by_text("These are the settings of the last campaign")).to_be_visible()
    assert page.locator("#save, [data-post], [data-reset]").count() == 0
    assert "ops@example.com" not in page.content()
    expect(page.get_by_label("Text for BOOST", exact=True)).to_have_attribute("readonly", "")
    page.get_by_role("link", name="Pace and cost").click()
    expect(page.get_by_label("Messages a second")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@as_op
def test_axe_finds_nothing_in_any_group(watched: Watched, theme: Literal["light", "dark"]) -> None:
    watched.page.emulate_media(color_scheme=theme)
    for width in (390, 1280):
        watched.page.set_viewport_size({"width": width, "height": 900})
        page = opened(watched, "settings")
        for group in GROUPS:
            page.locator(f"[data-group={group.key}]").click()
            expect(page.get_by_role("heading", name=group.name, exact=True)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert violations(page) == []


@as_op
def test_a_setting_is_changed_with_the_keyboard_alone(watched: Watched, variables: Callable[[str], str | None]) -> None:
    page = opened(watched, "settings")
    link = page.get_by_role("link", name="Approval")
    for _ in range(30):
        page.keyboard.press("Tab")
        if link.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    field = page.get_by_label("Hours to wait for the approver")
    for _ in range(8):
        page.keyboard.press("Tab")
        if field.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("ArrowUp")
    expect(field).to_have_value("49")
    button = page.get_by_role("button", name="Save 1 change…")
    expect(button).to_be_enabled()
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Save the changes?")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")
    assert variables("approval_hours") == "49"


@as_op
def test_what_is_written_in_a_variable_does_not_run(watched: Watched, set_variable: Edit) -> None:
    set_variable("message_boost", EVIL)
    page = opened(watched, "settings")
    expect(page.get_by_label("Text for BOOST", exact=True)).to_have_value(EVIL)
    page.get_by_label("Text for BOOST", exact=True).fill(f"{EVIL}!")
    page.get_by_role("button", name="Save 1 change…").click()
    expect(page.get_by_role("dialog").get_by_role("row", name="Text for BOOST")).to_contain_text(EVIL)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Take back the change").click()
    assert "owned" not in page.title()


# --- activity


@pytest.mark.usefixtures("computed")
def test_the_activity_says_what_happened_and_leads_there(watched: Watched, airflow: Airflow) -> None:
    airflow.set_variable("engage_max_segments", "3")
    page = opened(watched, "activity?kind=runs")
    expect(page.get_by_text("triggered a run").first).to_be_visible()
    page.get_by_role("link", name="All", exact=True).click()
    line = page.get_by_role("listitem").filter(has_text=f"{ADMIN} changed Longest text").first
    line.get_by_role("link", name="Longest text").click()
    expect(page.get_by_label("Longest text")).to_be_focused()
    page = opened(watched, "activity?kind=campaigns")
    expect(page.get_by_text("triggered a run")).to_have_count(0)
    page.get_by_role("link", name=DATES).first.click()
    expect(page.get_by_role("heading", name=f"Campaign of {DATES}")).to_be_visible()


@pytest.mark.usefixtures("computed")
def test_the_activity_is_filtered_with_the_keyboard(watched: Watched) -> None:
    page = opened(watched, "activity")
    page.get_by_role("link", name="Settings", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/activity?kind=settings")
    page.get_by_label("By user").fill(ADMIN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/activity?kind=settings&by={ADMIN}")
    expect(page.get_by_role("link", name="Settings", exact=True)).to_have_attribute("aria-current", "true")
    while page.get_by_role("link", name="Older").count():
        page.get_by_role("link", name="Older").click()
        expect(page.get_by_role("link", name="Newest")).to_be_visible()
    page.get_by_label("By user").fill("no such user")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Nothing of that has happened yet")).to_be_visible()


@as_op
def test_the_history_of_the_settings_is_beside_them(watched: Watched, variables: Callable[[str], str | None]) -> None:
    page = opened(watched, "settings#approval")
    page.get_by_label("Hours to wait for the approver").fill("51")
    save(page)
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")
    page.get_by_role("button", name="History").click()
    dialog = page.get_by_role("dialog", name="Who changed which setting")
    expect(dialog.get_by_role("listitem").first).to_contain_text(f"{OP} changed Hours to wait for the approver")
    assert violations(page) == []
    dialog.get_by_role("link", name="Hours to wait for the approver").first.click()
    expect(dialog).not_to_be_visible()
    expect(page.get_by_label("Hours to wait for the approver")).to_be_focused()
    assert variables("approval_hours") == "51"
