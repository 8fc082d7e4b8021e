"""Before a campaign: which effect a holdout could find, on the approval page and on the page Segments."""

import pytest
import sqlalchemy as sa

from engage.campaigns import measured_arms
from engage.experiments.power import detectable_share, holdout_for_share
from engage.pages import segments_page
from engage.pages.approval_page import approval_page
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.reports import holdout_reach
from engage.settings import Change, Settings, validate
from tests.integration.test_pages_campaigns import text_of
from tests.measured import holdout, texted


@pytest.fixture
def computed(world):
    """A window of 40 customers in BOOST, of whom 10 have bought, and 20 in REWARD, of whom all have."""
    for n in range(40):
        customer = world.customer()
        world.sessions(customer)
        if n < 10:
            world.purchase(customer, 100)
    for _ in range(20):
        regular = world.customer()
        world.sessions(regular, 48)
        world.purchase(regular, 500_00)
    world.computed(holdout_percent="20")
    return world


def reaches(world, customers, **settings):
    with world.engine.connect() as conn:
        return holdout_reach.reaches(conn, world.window, validate(settings), customers)


def measured(world, window, bought):
    arms = [texted("BOOST", 900, bought * 9, spend=1), holdout("BOOST", 100, bought, spend=1)]
    with world.engine.begin() as conn:
        measured_arms.keep(conn, window, arms)


def test_without_a_measured_campaign_the_windows_own_buyers_count(computed):
    boost, reward = reaches(computed, {"BOOST": (9000, 1000), "REWARD": (90, 10)})
    assert (boost.share, boost.measured) == (0.25, None)
    assert boost.detectable == detectable_share(9000, 1000, 0.25)
    assert boost.for_tenth == holdout_for_share(10_000, 0.25, 0.025)
    assert boost.sentence == (
        "BOOST: finds a rise of 4.1 points or more in 4 of 5 campaigns (25.0% bought in this window). A holdout of "
        "40.8% would find 10% more buyers."
    )
    assert reward.sentence == (
        "REWARD: this holdout finds no effect (100.0% bought in this window). No holdout up to a half would find 10% "
        "more buyers."
    )


def test_the_last_measured_campaign_of_a_segment_counts_first(computed, in_window):
    before = computed.window.previous()
    for window, bought in ((before, 30), (before.previous(), 50)):
        earlier = in_window(window)
        earlier.purchase(1, 100)
        earlier.extract()
        measured(computed, window, bought)
    boost, reward = reaches(computed, {"BOOST": (9000, 1000), "REWARD": (9000, 1000)})
    assert (boost.share, boost.measured) == (0.3, before)
    assert "(30.0% bought again after the campaign of 20 Jul – 14 Sep 2026)" in boost.sentence
    assert reward.measured is None


def test_without_a_holdout_it_says_which_one_would_do(computed):
    [boost] = reaches(computed, {"BOOST": (100_000, 0), "REWARD": (0, 0)})
    assert boost.sentence == (
        "BOOST: no holdout, so no effect can be told (25.0% bought in this window). A holdout of 2.4% would find 10% "
        "more buyers."
    )


def test_segments_without_customers_buyers_or_text_are_left_out(computed):
    assert reaches(computed, {}) == []
    assert [one.segment for one in reaches(computed, {"BOOST": (5, 5), "NONE": (5, 5)})] == ["BOOST"]
    computed.execute(sa.text("UPDATE customer_activity SET purchases = 0"))
    assert reaches(computed, {"BOOST": (5, 5)}) == []


def test_a_sample_is_the_same_each_time(computed, monkeypatch):
    monkeypatch.setattr(holdout_reach, "SAMPLE", 30)
    assert reaches(computed, {"BOOST": (5, 5)}) == reaches(computed, {"BOOST": (5, 5)})


def test_the_approver_sees_what_the_holdout_could_find(computed):
    computed.message(dry_run=False)
    text = text_of(approval_page(computed.engine, Viewer(), computed.window, as_of=computed.now))
    assert "Holdout 20% of the customers to text get none BOOST: finds a rise of " in text


def test_the_approver_sees_that_there_is_none(world):
    world.purchase(world.customer(), 100)
    world.computed()
    world.message()
    text = text_of(approval_page(world.engine, Viewer(), world.window, as_of=world.now))
    assert "Holdout none, so the effect is not measured BOOST: no holdout, so no effect can be told" in text


def said(world, *changes):
    editor = Editor(readable=Settings.model_fields)
    return text_of(segments_page.texted(world.engine, editor, world.window, list(changes), world.now)["part"])


def test_the_page_segments_says_it_for_the_draft(computed, monkeypatch):
    assert "No holdout: what one could find" in said(computed)
    assert "BOOST: no holdout, so no effect can be told (25.0% bought in this window)." in said(computed)
    richer = Change("low_spend_threshold", "1000", None)
    assert "BOOST: no holdout, so no effect can be told (50.0% bought in this window)." in said(computed, richer)


def test_the_page_segments_counts_the_holdout_of_each_segment(computed):
    editor = Editor(stored={"holdout_percent": "20"}, readable=Settings.model_fields)
    text = text_of(segments_page.texted(computed.engine, editor, computed.window, [], computed.now)["part"])
    assert "What a holdout of 20% could find BOOST: finds a rise of " in text
