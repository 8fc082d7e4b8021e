"""What if: the counts with other thresholds equal those of a real run and of pandas."""

import pandas as pd
import pytest
import sqlalchemy as sa

from engage.errors import NotReady, SettingsError
from engage.pages import what_if as pages
from engage.pages.viewer import Viewer
from engage.reports.what_if import what_if
from engage.segments import DEFAULT
from engage.steps.seed import seed
from tests.integration.conftest import KEY
from tests.integration.test_pages_campaigns import EVIL, Tags, assert_inert, text_of

CASES = [
    ("100", "5"),
    ("120", "5"),
    ("100", "4.875"),
    ("0", "0"),
    ("0", "1000000"),
    ("1000000000", "3"),
    ("180.55", "4.9"),
]


@pytest.fixture
def seeded(world):
    seed(world.engine, world.window, 800, 1, hash_key=KEY)
    world.computed()
    return world


def asked(world, low, high):
    with world.engine.begin() as conn:
        return what_if(conn, world.window, {"low_spend_threshold": low, "high_activity_threshold": high})


@pytest.mark.parametrize(("low", "high"), CASES)
def test_it_is_what_a_run_with_these_thresholds_makes(seeded, low, high):
    query = sa.text("SELECT customer_id, bucket FROM customer_bucket ORDER BY customer_id")
    before = pd.read_sql(query, seeded.engine).bucket
    found = asked(seeded, low, high)
    fresh = seeded.computed(low_spend_threshold=low, high_activity_threshold=high).buckets
    after = pd.read_sql(query, seeded.engine).bucket
    assert found.after == fresh
    assert found.before == before.value_counts().reindex(DEFAULT.names, fill_value=0).to_dict()
    assert found.moves == pd.Series(zip(before, after, strict=True)).value_counts().to_dict()
    assert found.moved == int((before != after).sum())
    assert found.messages(found.after) == int((after != "NONE").sum())


def test_with_the_campaigns_own_thresholds_nobody_moves(seeded):
    with seeded.engine.begin() as conn:
        found = what_if(conn, seeded.window, {})
    assert found.moved == 0
    assert found.before == found.after


def test_looking_changes_nothing(seeded):
    before = seeded.dump("campaign", "customer_activity", "customer_bucket")
    asked(seeded, "500", "1")
    assert seeded.dump("campaign", "customer_activity", "customer_bucket") == before


def test_segments_are_those_of_the_campaigns_texts(world):
    world.sessions(world.customer(), 1)
    world.computed(message_boost=f"{'x' * 200}. Reply STOP")
    found = asked(world, "100", "5")
    assert found.messages(found.after) == 1
    assert found.segments(found.after) == 2


@pytest.mark.parametrize(("low", "high"), [("abc", "5"), ("100", "NaN"), ("-1", "5"), ("1.005", "5"), ("100", "")])
def test_a_threshold_that_no_run_would_take_is_refused(seeded, low, high):
    with pytest.raises(SettingsError, match="threshold is"):
        asked(seeded, low, high)


def test_before_the_buckets_it_says_what_to_do(world):
    with pytest.raises(NotReady, match="run its bucket step first"):
        asked(world, "100", "5")
    world.sessions(world.customer())
    world.extract()
    with pytest.raises(NotReady, match="run its bucket step first"):
        asked(world, "100", "5")


def test_the_page_takes_the_latest_campaign_with_buckets_and_offers_the_others(seeded, in_window):
    earlier = in_window(seeded.window.previous())
    earlier.sessions(1)
    earlier.computed()
    later = in_window(seeded.window.next())
    later.sessions(1)
    later.extract()
    page = pages.what_if_page(seeded.engine, Viewer(), None, {}, {})
    assert f'<option value="{seeded.window.start:%Y-%m-%d}" selected>' in page
    assert f'<option value="{earlier.window.start:%Y-%m-%d}">' in page
    assert f'{later.window.start:%Y-%m-%d}">' not in page


def test_without_a_campaign_the_page_says_what_to_do(engine):
    with pytest.raises(NotReady, match="trigger a run of customer_engagement first"):
        pages.what_if_page(engine, Viewer(), None, {}, {})


def test_only_who_may_set_the_variables_is_offered_to(seeded):
    assert "data-post" not in pages.what_if_page(seeded.engine, Viewer(), None, {}, {})
    now = {"low_spend_threshold": EVIL, "high_activity_threshold": None}
    page = pages.what_if_page(seeded.engine, Viewer(may_set_thresholds=True), None, {}, now)
    assert "data-post" in page
    assert_inert(page)


def test_the_parts_that_the_thresholds_change_are_the_same_as_on_the_page(seeded):
    chosen = {"low_spend_threshold": "150", "high_activity_threshold": "4"}
    parts = pages.counts(seeded.engine, seeded.window, chosen)
    page = pages.what_if_page(seeded.engine, Viewer(), seeded.window, chosen, {})
    then, counts = parts.split('<div id="counts">')
    assert then.strip() in page
    assert counts.strip() in page


def test_it_says_what_the_campaign_would_cost_and_how_far_a_bucket_moves(world):
    world.purchase(world.customer(), 50_00)
    world.purchase(world.customer(), 150_00)
    world.computed(price_per_segment="0.01", messages_per_second="0.5")
    found = asked(world, "200", "5")
    assert (found.messages(found.before), found.messages(found.after)) == (1, 2)
    assert (str(found.cost(found.after)), found.seconds(found.after)) == ("0.02", 4.0)
    text = text_of(pages.counts(world.engine, world.window, {"low_spend_threshold": "200"}))
    assert "text at most 2 +1 · +100.0%" in text
    assert "cost at most $0.02 +$0.01" in text
    assert "send in 4 s instead of 2 s" in text
    assert "BOOST moves by 50.0 points." in text


def test_without_a_price_no_cost_is_shown(seeded):
    assert asked(seeded, "100", "5").cost({"BOOST": 1, "REWARD": 0, "NONE": 0}) is None
    assert "cost" not in text_of(pages.counts(seeded.engine, seeded.window, {}))


def test_wrong_thresholds_are_sentences_for_their_fields(seeded):
    wrong = pages.wrong_thresholds({"low_spend_threshold": "1.005", "high_activity_threshold": EVIL})
    assert [tag for tag in Tags(wrong).tags if tag[0] == "li"] == [
        ("li", {"data-for": "low"}),
        ("li", {"data-for": "high"}),
    ]
    assert "“Low spend threshold” is '1.005', which is not allowed" in text_of(wrong)
    assert "<script" not in wrong
    assert pages.wrong_thresholds({"low_spend_threshold": "100"}) is None


@pytest.mark.parametrize(
    ("chosen", "variables", "nothing"),
    [
        ({"low_spend_threshold": "100"}, {"low_spend_threshold": "100.00", "high_activity_threshold": None}, True),
        ({"low_spend_threshold": "101"}, {"low_spend_threshold": "100.00", "high_activity_threshold": None}, False),
        ({"low_spend_threshold": "101"}, {"low_spend_threshold": "101", "high_activity_threshold": "5"}, True),
        ({}, {"low_spend_threshold": "abc", "high_activity_threshold": "5"}, True),
    ],
    ids=str,
)
def test_nothing_can_be_set_while_nothing_would_change(seeded, chosen, variables, nothing):
    page = pages.what_if_page(seeded.engine, Viewer(may_set_thresholds=True), None, chosen, variables)
    [opener] = [attributes for tag, attributes in Tags(page).tags if attributes.get("data-opens") == "set"]
    assert ("disabled" in opener) == nothing
    assert ("data-nothing" in pages.counts(seeded.engine, seeded.window, chosen, variables)) == nothing


def test_a_band_is_drawn_for_each_move(seeded):
    found = asked(seeded, "180", "4.5")
    text = pages.counts(seeded.engine, seeded.window, {"low_spend_threshold": "180", "high_activity_threshold": "4.5"})
    moves = sum(1 for (now, then), customers in found.moves.items() if now != then and customers)
    assert text.count("<path ") == moves > 0
    assert "each customer stays in the same bucket" in text_of(pages.counts(seeded.engine, seeded.window, {}))
