"""What a campaign's texts did: the section of its report in each state, with codes and cost."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from engage.experiments.share_lift import Buyers
from engage.pages.lift_csv import lift_csv
from engage.reports.lift import Stage
from engage.steps.measure import measure
from engage.storage.schema import offer_code
from tests.integration.lifts import FEW, UNSOUND, found, keep, page, plan, rows, section, send
from tests.integration.test_pages_campaigns import Tags, text_of
from tests.measured import CLEAR, holdout, texted


@pytest.fixture
def sent(world):
    """A campaign of 80 customers in BOOST and REWARD, with a holdout."""
    return send(world)


# --- the states


def test_a_campaign_that_is_not_measured_says_when_it_will_be(sent):
    assert found(sent).stage is Stage.WAITING
    assert section(sent).strip() == (
        "Not measured yet. The comparison takes the whole next window, which ends on 4 Jan 2027. The campaign of that "
        "window measures it."
    )


def test_a_campaign_that_was_left_out_says_so(sent, in_window):
    following = in_window(sent.window.next())
    following.purchase(1, 100)
    following.computed()
    assert found(sent).overdue
    assert "This campaign is not measured, although the next window is computed." in section(sent)


def test_what_the_step_measures_is_what_the_report_shows(world, in_window):
    send(world, holdout_percent="30")
    following = in_window(world.window.next())
    arms = dict(world.rows("SELECT customer_id, arm FROM message WHERE bucket = 'BOOST'"))
    for customer_id, arm in arms.items():
        if arm == "texted":
            following.purchase(customer_id, 100)
    following.computed()
    measure(world.engine, following.window, as_of=following.now)
    boost = found(world).segments[0]
    texted = sum(arm == "texted" for arm in arms.values())
    assert boost.whole.texted == Buyers(texted, texted)
    assert boost.holdout == Buyers(len(arms) - texted, 0)
    assert "Texted BOOST customers bought again more often by 100.0 points (100.0%, the holdout 0.0%)" in section(world)


def test_without_a_holdout_it_says_how_to_get_one(world):
    send(world, holdout_percent="0")
    assert found(world).stage is Stage.NO_HOLDOUT
    assert "No customer was held out" in section(world)
    assert ("a", "settings#holdout_percent") in [
        (tag, attributes.get("href")) for tag, attributes in Tags(page(world)).tags
    ]


@pytest.mark.parametrize("options", [{"dry_run": True}, {"backfill": True}])
def test_a_campaign_that_texts_no_customer_has_no_section(world, options):
    world.purchase(world.customer(), 100)
    world.computed(holdout_percent="10")
    world.message(**options)
    assert found(world).stage is Stage.NOT_TEXTED
    assert "What it did" not in text_of(page(world))


def test_a_campaign_before_its_queue_has_no_section(world):
    world.purchase(world.customer(), 100)
    world.extract(holdout_percent="10")
    assert found(world).stage is Stage.NOT_TEXTED
    assert "What it did" not in text_of(page(world))


def test_a_measured_campaign_says_it_in_words_first_then_in_numbers(sent):
    plan(sent, REWARD={"a": 0.5, "b": 0.5})
    keep(sent, CLEAR)
    text = section(sent)
    assert text.index("Texted BOOST customers bought again more often by 5.0 points") < text.index(
        "Bought again decides"
    )
    assert "They spent $7.00 more, 95% between $3.60 and $10.40." in text
    assert "REWARD: no effect is shown." in text
    assert "BOOST 32.0% 27.0% +5.0 points more +2.0 to +7.8 points" in text
    assert "text b to REWARD 51.0% 50.0% +1.0 points −0.7 to +2.7 points" in text
    assert "BOOST $54.00 $47.00 +$7.00 +14.9% (+7.2% to +23.7%) +$3.60 to +$10.40" in text
    assert "BOOST 9,000 1,000 (10.0%) 10.0% 1.00 4.2 points 31.6% 0.001 0.003 25.0%" in text
    assert "measured 5 Jan 2027" in text


def test_segments_stand_in_the_order_of_the_rules(sent):
    unknown = (texted("AN_OLD_ONE", 900, 288, spend=5400), holdout("AN_OLD_ONE", 100, 27, spend=4700))
    keep(sent, (*CLEAR, *unknown))
    assert [one.segment for one in found(sent).segments] == ["BOOST", "REWARD", "AN_OLD_ONE"]


def test_each_interval_is_drawn_once_and_all_of_a_metric_on_one_scale(sent):
    plan(sent, REWARD={"a": 0.5, "b": 0.5})
    keep(sent, CLEAR)
    drawn = page(sent)
    assert drawn.count('class="whisker tone-boost"') == 3  # a metric each
    assert drawn.count('class="whisker tone-reward"') == 9  # both texts together, and each
    assert drawn.count('<svg class="whisker" ') == 3
    assert "style=" not in drawn


def test_with_few_buyers_there_is_no_interval_of_spend(world):
    send(world, primary_metric="spend")
    keep(world, FEW)
    text = section(world)
    assert "BOOST: too few to tell. A group has 27 buyers, and an interval of spend needs 100." in text
    assert "BOOST $54.00 $47.00 too few to tell –" in text
    assert "In buying again, no effect is shown" in text
    assert text.index("Spend decides") < text.index("Bought again Bought again:")


def test_an_unsound_split_shows_no_number_of_the_outcome(sent):
    keep(sent, UNSOUND)
    text = section(sent)
    assert "BOOST: nothing can be said. 800 customers of 9,800 are in the holdout" in text
    assert "32.0%" not in text
    assert text.count("BOOST – – unsound –") == 3
    assert "each of these cost" not in text


def test_a_campaign_measured_without_a_holdout_is_not_measured(world):
    send(world, holdout_percent="0")
    keep(world, CLEAR[:1])
    assert found(world).stage is Stage.NO_HOLDOUT


# --- codes and cost


def test_codes_are_counted_by_text_and_the_cost_is_that_of_a_segment(sent):
    plan(sent, REWARD={"a": 0.5, "b": 0.5})
    keep(sent, CLEAR)
    codes = [
        {"code": f"CODE{n}", "offer": "summer", "added_at": sent.now, "window_start": sent.window.start,
         "customer_id": n, "segment": "REWARD", "variant": "ab"[n % 2], "redeemed_at": sent.now if n < 3 else None}
        for n in range(10)
    ]  # fmt: skip
    sent.execute(sa.insert(offer_code), codes)
    text = section(sent)
    texts = sent.value("SELECT count(*) FROM message WHERE bucket = 'BOOST' AND status = 'accepted'")
    assert f"BOOST – – ${texts / 2:.2f} 450 $0.0{round(100 * texts / 2 / 450)}" in text
    assert "REWARD 10 3 (30.0%)" in text
    assert "text a to REWARD 5 2 (40.0%)" in text
    assert "text b to REWARD 5 1 (20.0%)" in text


def test_a_cost_below_a_cent_is_no_0_for_machines_either(world):
    send(world, price_per_segment="0.0001")
    keep(world, CLEAR)
    [boost, _] = found(world).to_dict()["segments"]
    cost, customers = float(boost["cost"]), boost["additional_buyers"]
    assert float(boost["cost_per_additional_buyer"]) == pytest.approx(cost / customers, abs=1e-6)
    assert float(boost["cost_per_additional_buyer"]) > 0
    [row] = [one for one in rows(lift_csv(world.engine)) if (one["segment"], one["metric"]) == ("BOOST", "spend")]
    assert row["cost_per_additional_buyer"] == boost["cost_per_additional_buyer"]


def test_without_a_price_and_codes_no_cost_is_shown(world):
    send(world, price_per_segment="0")
    keep(world, CLEAR)
    assert found(world).costs == {}
    assert "Codes given" not in section(world)
