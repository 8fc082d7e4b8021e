"""What a campaign's texts did: the section of its report in each state, the numbers for machines, and all campaigns."""

from __future__ import annotations

import csv
import io
import json

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign, measured_arms
from engage.errors import NotReady
from engage.experiments.share_lift import Buyers, newcombe
from engage.formats import days
from engage.pages.campaign_list import campaign_list
from engage.pages.campaign_report import campaign_report
from engage.pages.lift_csv import lift_csv
from engage.pages.viewer import Viewer
from engage.reports import lift, report
from engage.reports.lift import Stage
from engage.settings import Settings
from engage.statuses import Metric
from engage.steps.measure import measure
from engage.storage.schema import campaign as campaigns
from engage.storage.schema import offer_code
from tests.integration.test_pages_campaigns import Tags, text_of
from tests.measured import CLEAR, holdout, texted

FEW = (texted("BOOST", 900, 288, spend=5400), holdout("BOOST", 100, 27, spend=4700))
UNSOUND = (texted("BOOST", 9000, 2880, spend=5400), holdout("BOOST", 800, 270, spend=4700))


@pytest.fixture
def sent(world):
    """A campaign of 80 customers in BOOST and REWARD, with a holdout."""
    return send(world)


def send(world, **settings):
    for _ in range(40):
        world.purchase(world.customer(), 100)
        regular = world.customer()
        world.sessions(regular, 48)
        world.purchase(regular, 500_00)
    world.computed(**{"holdout_percent": "10", "price_per_segment": "0.5"} | settings)
    world.message()
    return world


def keep(world, arms, window=None):
    with world.engine.begin() as conn:
        measured_arms.keep(conn, window or world.window, arms)


def plan(world, **segments):
    drawn = {name: {"weights": weights, "why": "equal weights"} for name, weights in segments.items()}
    world.execute(sa.update(campaigns).values(variants=drawn))


def found(world):
    with world.engine.connect() as conn:
        about = report.of(conn, world.window)
        return lift.of(conn, about.record, about.counts)


def page(world):
    return campaign_report(world.engine, Viewer(), world.window)


def section(world):
    """The text of the section, without the rest of the page."""
    return text_of(page(world)).partition("What it did")[2].partition("From customers to messages")[0]


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


# --- for machines


def test_the_numbers_are_json_in_every_state(sent):
    assert json.loads(json.dumps(found(sent).to_dict())) == {
        "stage": "waiting", "primary_metric": "bought_again", "measured_at": None, "segments": [], "redemptions": []
    }  # fmt: skip
    keep(sent, CLEAR)
    data = json.loads(json.dumps(found(sent).to_dict()))
    [boost, reward] = data["segments"]
    expected = newcombe(CLEAR[0].buyers, CLEAR[1].buyers)
    assert boost["metrics"]["bought_again"] | {"corrected_p": None} == {
        "finding": "more", "texted": 0.32, "holdout": 0.27, "difference": expected.difference, "low": expected.low,
        "high": expected.high, "p": expected.p, "corrected_p": None, "relative": None,
        "detectable": pytest.approx(0.042, abs=0.001), "holdout_for_10_percent": pytest.approx(0.316, abs=0.001),
        "holdout_for_100_buyers": None,
    }  # fmt: skip
    assert boost["metrics"]["spend"]["finding"] is None
    assert boost["metrics"]["spend"]["corrected_p"] is None
    assert boost["metrics"]["spend"]["relative"]["ratio"] == pytest.approx(7 / 47)
    assert [one["variant"] for one in reward["texts"]] == ["a", "b"]
    keep(sent, UNSOUND)
    [boost] = json.loads(json.dumps(found(sent).to_dict()))["segments"]
    assert {one["finding"] for one in boost["metrics"].values()} == {"unsound"}
    assert {one["difference"] for one in boost["metrics"].values()} == {None}
    assert {(one["texted"], one["holdout"]) for one in boost["metrics"].values()} == {(None, None)}
    assert boost["texted"] == {"customers": 9000, "bought_again": None}
    assert boost["holdout"] == {"customers": 800, "bought_again": None}


# --- all campaigns


@pytest.fixture
def three(sent, in_window):
    """Three sent campaigns, the newest first. None is measured."""
    others = [in_window(Window) for Window in (sent.window.previous(), sent.window.previous().previous())]
    for other in others:
        other.purchase(1, 100)
        other.computed(holdout_percent="10")
    return [sent, *others]


def over_time(world, limit=13):
    with world.engine.connect() as conn:
        return lift.over_time(conn, campaign.find_all(conn), limit=limit)


def test_one_measured_campaign_is_not_pooled(three):
    assert over_time(three[0]) is None
    keep(three[0], CLEAR)
    assert over_time(three[0]) is None


def test_campaigns_are_pooled_by_precision_over_segments_and_windows(three):
    for one in three:
        keep(one, CLEAR)
    pooled = over_time(three[0])
    assert [one.window for one in pooled.points] == [one.window for one in reversed(three)]
    [once] = {one.lift for one in pooled.points}
    assert pooled.metric is Metric.BOUGHT_AGAIN
    assert pooled.pooled.campaigns == 3
    assert pooled.pooled.lift.difference == pytest.approx(once.difference)
    assert pooled.pooled.lift.standard_error == pytest.approx(once.standard_error / 3**0.5)
    assert [one.window for one in over_time(three[0], limit=2).points] == [three[1].window, three[0].window]


def test_an_unsound_campaign_is_a_gap_and_not_pooled(three):
    for one, arms in zip(three, (CLEAR, UNSOUND, CLEAR), strict=True):
        keep(one, arms)
    pooled = over_time(three[0])
    assert [one.lift is None for one in pooled.points] == [False, True, False]
    assert pooled.pooled.campaigns == 2


def test_the_metric_is_that_of_the_newest_measured_campaign(three):
    world = three[0]
    world.execute(
        sa.update(campaigns)
        .where(campaigns.c.window_start == world.window.start)
        .values(settings=campaigns.c.settings.concat({"primary_metric": "spend"}))
    )
    for one in three[:2]:
        keep(one, CLEAR)
    assert over_time(world).metric is Metric.SPEND


# --- the command and the files


def test_the_command_prints_the_sentences_and_the_numbers(sent, command):
    assert "Not measured yet." in command("report")
    plan(sent, REWARD={"a": 0.5, "b": 0.5})
    keep(sent, CLEAR)
    lines = command("report").splitlines()
    printed = " ".join(" ".join(lines).split())
    assert "What the texts did (measured 5 Jan 2027, 12:00 UTC)" in printed
    assert "Texted BOOST customers bought again more often by 5.0 points" in printed
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert ["BOOST", "32.0%", "27.0%", "+5.0 points", "+2.0 to +7.8 points"] in cells
    assert ["text b", "$100.50", "$99.00", "+$1.50", "−$0.28 to +$3.28"] in cells
    assert ["BOOST", "9,000", "1,000", "10.0%", "1.00", "4.2 points", "31.6%"] in cells


def test_a_segment_without_a_holdout_has_no_number_of_it_anywhere(sent, command):
    keep(sent, (*CLEAR[:2], texted("REWARD", 90, 45, spend=9900)))
    assert "REWARD 50.0% – too few to tell –" in section(sent)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in command("report").splitlines() if "│" in line]
    assert ["REWARD", "50.0%", "–", "too few to tell", "–"] in cells
    [_, reward] = found(sent).to_dict()["segments"]
    assert {one["holdout"] for one in reward["metrics"].values()} == {None}
    table = [one for one in rows(lift_csv(sent.engine, sent.window)) if one["segment"] == "REWARD"]
    assert {(one["holdout"], one["holdout_customers"]) for one in table} == {("", "0")}


def test_the_command_has_all_of_it_as_json(sent, command):
    keep(sent, CLEAR)
    assert json.loads(command("report", "--json"))["lift"] == json.loads(json.dumps(found(sent).to_dict()))


def test_the_command_is_silent_about_a_campaign_that_texts_no_customer(world, command):
    world.purchase(world.customer(), 100)
    world.computed()
    assert "What the texts did" not in command("report")
    assert json.loads(command("report", "--json"))["lift"]["stage"] == "not_texted"


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_has_a_row_for_each_segment_text_and_metric(sent):
    plan(sent, REWARD={"a": 0.5, "b": 0.5})
    assert rows(lift_csv(sent.engine, sent.window)) == rows(lift_csv(sent.engine)) == []
    keep(sent, CLEAR)
    table = rows(lift_csv(sent.engine, sent.window))
    assert [(one["segment"], one["text"], one["metric"]) for one in table][:5] == [
        ("BOOST", "all", "bought_again"), ("BOOST", "all", "spend"), ("BOOST", "all", "sessions"),
        ("REWARD", "all", "bought_again"), ("REWARD", "all", "spend"),
    ]  # fmt: skip
    assert len(table) == 3 + 9
    [boost] = [one for one in table if (one["segment"], one["metric"]) == ("BOOST", "spend")]
    assert (boost["unit"], boost["texted"], boost["holdout"], boost["finding"]) == ("USD", "54.0", "47.0", "")
    assert float(boost["difference"]) == pytest.approx(7)
    assert float(boost["low"]) == pytest.approx(3.6, abs=0.01)
    assert [one["finding"] for one in table if one["decides"] == "yes"] == ["more", "not_shown"]
    assert rows(lift_csv(sent.engine)) == table


def test_the_file_of_all_campaigns_has_the_newest_first(three):
    for one in three[:2]:
        keep(one, CLEAR[:2])
    assert [one["window_start"] for one in rows(lift_csv(three[0].engine))] == [f"{three[0].window.start:%Y-%m-%d}"] * 3


def test_a_number_that_may_not_be_shown_is_an_empty_cell(sent):
    keep(sent, UNSOUND)
    for one in rows(lift_csv(sent.engine, sent.window)):
        assert one["finding"] == "unsound"
        assert one["texted_customers"] == "9000"
        assert {one[name] for name in ("texted", "holdout", "difference", "low", "texted_bought_again", "p")} == {""}


def test_a_file_of_no_campaign_says_so(world):
    with pytest.raises(NotReady, match="no campaign"):
        lift_csv(world.engine, world.window)


# --- the page Campaigns


def listing(world):
    return campaign_list(world.engine, Viewer(), Settings(), as_of=world.now)


def test_the_list_is_silent_until_two_campaigns_are_measured(three):
    keep(three[0], CLEAR)
    assert "What the texts did" not in text_of(listing(three[0]))


def test_the_list_has_the_pooled_lift_in_words_and_a_whisker_for_each_campaign(three):
    for one, arms in zip(three, (CLEAR, UNSOUND, CLEAR), strict=True):
        keep(one, arms)
    page = listing(three[0])
    text = text_of(page).partition("What the texts did")[2]
    assert "Over 2 measured campaigns, texted customers bought again more often by 1.7 points, 95% between" in text
    assert "All together +1.7 points" in text
    assert text.index("All together") < text.index(days(three[0].window.start, three[0].window.end))
    assert f"{days(three[1].window.start, three[1].window.end)} not known –" in text
    assert page.count('class="whisker tone-') == 4
    assert page.count('<circle class="fill"') == 3
    assert f'href="report?window_start={three[2].window.start:%Y-%m-%d}#lift"' in page
