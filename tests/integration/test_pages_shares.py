"""The pages show a share of the customers with the number that it becomes."""

from __future__ import annotations

import pytest

from engage.campaigns import campaign
from engage.pages import campaign_list, campaign_report, csv_download, segments_page, settings_page
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.reports.approval_checks import checks
from engage.settings import Change, Settings
from tests.integration.conftest import World
from tests.integration.test_pages_campaigns import text_of
from tests.integration.test_segments_page import EDITOR, counted, shown, state_of, storing

SHARE = {"low_spend_threshold": "lowest 40%", "high_activity_threshold": "1000"}
BOTH = "lowest 40% = $87.40"
WORDS = "lowest 40% = below $87.40: 2 customers"


@pytest.fixture
def shared(world: World) -> World:
    """A campaign whose threshold is a share: two customers of five are below 87.40."""
    for cents in (500, 8000, 8740, 8741, 30000):
        world.purchase(world.customer(), cents)
    world.computed(**SHARE)
    return world


def report_of(world: World) -> str:
    return text_of(campaign_report.campaign_report(world.engine, Viewer(), world.window))


def test_the_report_says_the_share_its_number_and_its_customers(shared):
    text = report_of(shared)
    assert f"Low spend threshold: {WORDS}." in text
    assert f"BOOST below {BOTH}" in text  # the line of the chart


def test_the_report_says_what_is_odd_about_a_share(world):
    for cents in (0, 0, 0, 10000):
        world.purchase(world.customer(), cents)
    world.computed(**SHARE)
    assert "75.0% of the customers tie at $0, so lowest 40% takes no customer. Ask for more than 75.0%" in report_of(
        world
    )


def test_a_report_without_a_share_says_nothing_of_them(world):
    world.purchase(world.customer(), 100)
    world.computed()
    assert "Shares" not in report_of(world)


def test_the_list_and_the_comparison_name_both(shared, in_window):
    earlier = in_window(shared.window.previous())
    earlier.purchase(1, 100)
    earlier.computed(low_spend_threshold="50")
    page = campaign_list.campaign_list(shared.engine, Viewer(), Settings(), as_of=shared.now)
    assert f"< {BOTH} changed" in text_of(page)
    page = campaign_report.campaign_report(shared.engine, Viewer(), shared.window, against=earlier.window)
    assert f"Low spend below $50 {BOTH}" in text_of(page)


def test_a_campaign_before_bucket_names_the_share_alone(world):
    world.purchase(world.customer(), 100)
    world.extract(**SHARE)
    page = campaign_list.campaign_list(world.engine, Viewer(), Settings(), as_of=world.now)
    assert "< lowest 40% >" in text_of(page)


def test_the_approver_reads_the_share(shared):
    with shared.engine.begin() as conn:
        found = checks(campaign.locked(conn, shared.window), as_of=shared.now)
    [one] = [check for check in found if check.name == "Shares"]
    assert (one.good, one.words) == (True, f"Low spend threshold: {WORDS}.")


def test_the_file_of_counts_has_a_row_for_the_share(shared):
    text = csv_download.counts_csv(shared.engine, shared.window)
    assert '"low_spend_threshold, lowest 40%",87.4' in text


# --- Segments


def test_the_page_has_each_share_with_its_number(shared):
    page = shown(shared, editor=storing(**SHARE))
    assert state_of(page)["thresholds"]["low_spend_threshold"] == "lowest 40%"
    assert state_of(page)["shares"] == {"low_spend_threshold": {"words": WORDS, "note": "", "number": "87.4"}}
    assert "Low spend threshold lowest 40% = 87.4" in text_of(page)  # without a script


def test_a_draft_is_counted_with_the_number_of_its_share_in_the_window(shared):
    answer = counted(shared, low_spend_threshold="Lowest 60 %")
    assert answer["shares"]["low_spend_threshold"]["words"] == "lowest 60% = below $87.41: 3 customers"
    assert [one["customers"] for one in answer["segments"]] == ["3 customers", "0 customers", "2 customers"]
    assert answer["may_save"]
    rules = {"segments": [{"name": "A", "when": ["total_spend in highest 1"]}], "otherwise": "NONE"}
    answer = counted(shared, segments=rules)
    assert answer["shares"]["total_spend in highest 1"]["words"] == "highest 1 = more than $87.41: 1 customer"


def test_other_users_start_from_the_share_of_the_campaign(shared):
    assert state_of(shown(shared, editor=Editor()))["thresholds"]["low_spend_threshold"] == "lowest 40%"


def test_a_share_that_cannot_be_right_is_explained(shared):
    answer = counted(shared, low_spend_threshold="lowest")
    assert "'lowest' lacks a share or a number of customers" in answer["errors"]["settings"]["low_spend_threshold"]
    assert not answer["may_save"]


def test_texts_and_recipients_of_a_draft_take_its_share(shared):
    changes = [Change("low_spend_threshold", "lowest 60%", None)]
    found = segments_page.texted(shared.engine, EDITOR, shared.window, changes, shared.now)
    assert found["by_segment"]["BOOST"] == "3 may be texted"
    texts = segments_page.read_texts(shared.engine, Viewer(), EDITOR, shared.window, changes, customers={"BOOST": [3]})
    assert "customer 3" in text_of(texts["BOOST"]) or "We miss you" in text_of(texts["BOOST"])


# --- Texts and settings


def test_the_settings_show_what_a_share_is_in_the_latest_window(shared):
    page = settings_page.settings_page(shared.engine, Viewer(), storing(**SHARE))
    assert 'value="lowest 40%"' in page
    assert f"Of the customers of 14 Sep – 9 Nov 2026: {WORDS}." in text_of(page)
    answer = settings_page.check(shared.engine, storing(), [Change("low_spend_threshold", "lowest 60%", None)])
    assert "lowest 60% = below $87.41: 3 customers" in answer["shares"]["low_spend_threshold"]
    assert answer["may_save"]


def test_the_settings_take_a_share_before_there_is_a_campaign(engine):
    answer = settings_page.check(engine, storing(), [Change("low_spend_threshold", "lowest 60%", None)])
    assert (answer["may_save"], answer["shares"]) == (True, {})
