"""What campaigns' texts did, as numbers: for machines, over all campaigns, the command and the files."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.errors import NotReady
from engage.experiments.share_lift import newcombe
from engage.formats import days
from engage.pages.campaign_list import campaign_list
from engage.pages.lift_csv import lift_csv
from engage.pages.viewer import Viewer
from engage.reports import lift
from engage.settings import Settings
from engage.statuses import Metric
from engage.storage.schema import campaign as campaigns
from tests.integration.lifts import UNSOUND, found, keep, plan, rows, section, send
from tests.integration.test_pages_campaigns import text_of
from tests.measured import CLEAR, texted


@pytest.fixture
def sent(world):
    """A campaign of 80 customers in BOOST and REWARD, with a holdout."""
    return send(world)


# --- for machines


def test_the_numbers_are_json_in_every_state(sent):
    assert json.loads(json.dumps(found(sent).to_dict())) == {
        "stage": "waiting", "primary_metric": "bought_again", "measured_at": None, "segments": [], "redemptions": [],
        "currency": "USD",
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
