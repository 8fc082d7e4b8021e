"""The page *Segments*: its HTML, and what its script is answered."""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from engage.errors import NotReady
from engage.pages import segments_page as pages
from engage.pages.segment_draft import Draft
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.settings import Change, Settings
from engage.steps.seed import seed
from tests.integration.conftest import KEY
from tests.integration.test_pages_campaigns import EVIL, Tags, assert_inert, text_of

LAPSING = {
    "segments": [
        {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]},
        {
            "name": "LAPSING",
            "when": [
                "days_since_last_purchase > lapsing_days_threshold",
                {"any": ["liked > 0", "added_to_basket > 0"]},
            ],
        },
    ],
    "otherwise": "NONE",
}
EDITOR = Editor(readable=Settings.model_fields, editable=Settings.model_fields)


@pytest.fixture
def seeded(world):
    seed(world.engine, world.window, 800, 1, hash_key=KEY)
    world.computed()
    return world


def changed(**values):
    return [Change(name, json.dumps(value) if name == "segments" else value, None) for name, value in values.items()]


def counted(world, editor=EDITOR, **values):
    return pages.counts(world.engine, editor, world.window, changed(**values))


def storing(**values):
    return Editor(values, Settings.model_fields, Settings.model_fields)


def shown(world, viewer=None, editor=EDITOR, window=None):
    return pages.segments_page(world.engine, viewer or Viewer(), editor, window)


def state_of(page):
    [state] = [attributes["data-state"] for _, attributes in Tags(page).tags if "data-state" in attributes]
    return json.loads(state)


# --- the page


def test_it_takes_the_latest_campaign_with_buckets_and_offers_the_others(seeded, in_window):
    earlier = in_window(seeded.window.previous())
    earlier.sessions(1)
    earlier.computed()
    later = in_window(seeded.window.next())
    later.sessions(1)
    later.extract()
    page = shown(seeded)
    assert f'<option value="{seeded.window.start:%Y-%m-%d}" selected>' in page
    assert f'<option value="{earlier.window.start:%Y-%m-%d}">' in page
    assert f'{later.window.start:%Y-%m-%d}">' not in page


def test_without_a_campaign_it_says_what_to_do(engine):
    with pytest.raises(NotReady, match="trigger a run of customer_engagement first"):
        pages.segments_page(engine, Viewer(), EDITOR, None)


def test_it_can_be_read_without_a_script(seeded):
    text = text_of(shown(seeded))
    boost = seeded.value("SELECT count(*) FROM customer_bucket WHERE bucket = 'BOOST'")
    assert f"BOOST {boost} customers" in text
    assert "Spend below low_spend_threshold" in text
    assert "Sessions a week more than high_activity_threshold" in text
    assert "NONE" in text
    assert "All customers who fit no segment above. They get no text." in text


def test_a_user_who_may_read_the_variables_starts_from_them(seeded):
    editor = Editor(
        {"segments": json.dumps(LAPSING), "lapsing_days_threshold": "28", "alert_emails": "a@example.com"},
        Settings.model_fields,
        Settings.model_fields,
    )
    state = state_of(shown(seeded, editor=editor))
    assert state["rules"] == LAPSING
    assert state["stored"] == {"segments": json.dumps(LAPSING), "lapsing_days_threshold": "28"}
    assert state["thresholds"]["lapsing_days_threshold"] == "28"


def test_other_users_start_from_what_the_campaign_used(seeded):
    seeded.computed(low_spend_threshold="77")
    page = shown(seeded, editor=Editor({"low_spend_threshold": "123"}, (), ()))
    assert state_of(page)["thresholds"]["low_spend_threshold"] == "77.0"
    assert "These are the rules of the campaign below." in text_of(page)


def test_only_a_user_who_may_set_the_variables_is_offered_to(seeded):
    assert "settings-save" not in shown(seeded)
    page = shown(seeded, Viewer(may_set_segments=True))
    assert 'action="settings-save"' in page


def test_texts_and_names_are_inert(world):
    world.purchase(world.customer(name=EVIL), 50_00)
    world.computed()
    editor = Editor({"message_boost": f"Hi {{{{ name }}}} {EVIL}"}, Settings.model_fields, Settings.model_fields)
    page = shown(world, editor=editor)
    assert_inert(page)
    [html] = pages.read_texts(world.engine, Viewer(), editor, world.window, [], customers={"BOOST": [1]}).values()
    assert {tag for tag, _ in Tags(html).tags} <= {"div", "p", "button", "a", "span", "mark"}


def test_a_wrong_variable_is_said_and_stands_at_its_default(seeded):
    editor = Editor({"segments": '{"segments": []}'}, Settings.model_fields, Settings.model_fields)
    page = shown(seeded, editor=editor)
    assert "a list of 1 to 20 segments" in text_of(page)
    assert [one["name"] for one in state_of(page)["rules"]["segments"]] == ["BOOST", "REWARD"]


def test_a_wrong_threshold_that_no_rule_names_does_not_hinder_the_page(seeded):
    page = shown(seeded, editor=storing(alarm_threshold="high"))
    assert "The settings hold a mistake" not in text_of(page)  # no run reads it
    assert "alarm_threshold" not in state_of(page)["thresholds"]


@pytest.mark.parametrize("alone", [True, False])
def test_a_wrong_threshold_that_the_rules_name_is_said_and_the_defaults_stand(seeded, alone):
    others = {} if alone else {"max_segments": "many"}
    editor = storing(segments=json.dumps(LAPSING), lapsing_days_threshold="high", **others)
    page = shown(seeded, editor=editor)
    assert "The settings hold a mistake" in text_of(page)
    assert "“Lapsing days threshold” is 'high'" in text_of(page)
    assert [one["name"] for one in state_of(page)["rules"]["segments"]] == ["BOOST", "REWARD"]
    assert counted(seeded, editor)["errors"]["settings"].keys() >= {"lapsing_days_threshold"}


def test_a_window_of_an_earlier_version_is_said_to_lack_numbers(seeded):
    said = "only spend, sessions and purchases are known, so all other conditions are counted without data"
    assert said not in text_of(shown(seeded))
    seeded.execute(sa.text("UPDATE customer_activity SET registered_at = NULL"))
    assert said in text_of(shown(seeded))


def test_a_window_without_sums_is_said_to_lack_them(seeded):
    said = "the sums of the last 3 windows are not known, so no condition on them holds"
    assert said not in text_of(shown(seeded))
    seeded.execute(sa.text("UPDATE customer_activity SET purchases_to_date = NULL"))
    assert said in text_of(shown(seeded))


# --- counts


def test_the_counts_of_a_draft_are_those_of_a_fresh_run(seeded):
    answer = counted(seeded, segments=LAPSING, lapsing_days_threshold="28")
    fresh = seeded.computed(segments=json.dumps(LAPSING), lapsing_days_threshold="28").buckets
    assert [(one["name"], one["customers"]) for one in answer["segments"]] == [
        (name, f"{count} customers" if count != 1 else "1 customer") for name, count in fresh.items()
    ]
    assert answer["segments"][1]["messages"] == "not texted"
    assert answer["errors"] == {}
    assert answer["may_save"]


def test_a_band_is_drawn_for_each_move(seeded):
    answer = counted(seeded, low_spend_threshold="180", high_activity_threshold="4.5")
    assert answer["parts"]["counts"].count("<path ") > 0
    assert "each customer stays in the same segment" in text_of(counted(seeded)["parts"]["counts"])


def test_it_says_what_the_campaign_would_cost_and_how_far_a_segment_moves(world):
    world.purchase(world.customer(), 50_00)
    world.purchase(world.customer(), 150_00)
    world.computed()
    editor = Editor(
        {"price_per_segment": "0.01", "messages_per_second": "0.5"}, Settings.model_fields, Settings.model_fields
    )
    text = text_of(counted(world, editor, low_spend_threshold="200")["parts"]["then"])
    assert "text at most 2 +1 · +100.0%" in text
    assert "cost at most $0.02" in text
    assert "exceeds" not in text
    dear = replace(editor, stored={**editor.stored, "message_budget": "0.01"})
    assert "cost at most $0.02 budget exceeds the budget of $0.01, so the campaign would stop" in text_of(
        counted(world, dear, low_spend_threshold="200")["parts"]["then"]
    )
    cut = replace(editor, stored={**editor.stored, "message_budget": "1 message", "over_budget": "cut"})
    assert "budget cut to the budget of 1 message: BOOST keeps 1, REWARD keeps 0" in text_of(
        counted(world, cut, low_spend_threshold="200")["parts"]["then"]
    )
    assert "send in 4 s" in text
    assert "BOOST moves by 50.0 points." in text


def test_it_says_whether_the_guard_would_compare_the_segment_that_moves(seeded):
    guarded = "The guard stops a campaign at more than 25."
    text = text_of(counted(seeded, low_spend_threshold="200")["parts"]["then"])
    assert guarded in text
    text = text_of(counted(seeded, segments=LAPSING, lapsing_days_threshold="1")["parts"]["then"])
    assert "The guard does not compare it, as its rule or an earlier one has changed." in text
    assert guarded not in text


def test_the_differences_name_each_variable_now_and_then(seeded):
    answer = counted(seeded, segments=LAPSING, lapsing_days_threshold="28", message_lapsing="Hi. Reply STOP.")
    text = text_of(answer["parts"]["differences"])
    assert "Segments and their rules engage_segments BOOST: Spend below low_spend_threshold" in text
    assert "LAPSING: Days since the last purchase more than lapsing_days_threshold; any of these: Items liked" in text
    assert "NONE: all others (default)" in text
    assert "Lapsing days threshold engage_lapsing_days_threshold nothing 28" in text
    assert "engage_message_lapsing nothing Hi. Reply STOP." in text


def test_a_segment_that_is_always_empty_is_warned_of(seeded):
    rules = {"segments": [{"name": "EMPTY", "when": ["liked > 5", "liked < 2"]}], "otherwise": "NONE"}
    [empty, _] = counted(seeded, segments=rules)["segments"]
    assert empty["warnings"] == ["Segment EMPTY is always empty: its conditions exclude each other."]


# --- mistakes, each at its place


def wrong(world, **values):
    answer = counted(world, **values)
    assert not answer["may_save"]
    assert "parts" not in answer
    return answer["errors"]


def test_a_wrong_condition_is_a_sentence_at_its_row(seeded):
    rules = {
        "segments": [
            {"name": "BOOST", "when": ["total_spend < 5", {"any": ["liked > ", {"not": ["sessions > x"]}]}]},
            {"name": "b", "when": []},
        ],
        "otherwise": "BOOST",
    }
    [first, second] = wrong(seeded, segments=rules)["segments"]
    assert first["rows"].keys() == {1, 2}
    assert first["rows"][1].startswith("A condition is a field, an operator and a value")
    assert first["rows"][2].startswith("X is neither a number nor a threshold")
    assert first["name"] == "Two segments have the name BOOST. Each needs a name of its own."
    assert second["name"].startswith("It takes a name of 1 to 30 capital letters")
    assert second["when"].startswith("It has no condition")


def test_a_threshold_that_is_missing_is_said_at_its_row(seeded):
    [_, second] = wrong(seeded, segments=LAPSING)["segments"]
    assert second["rows"] == {0: "There is no setting lapsing_days_threshold. Add it, or write a number."}


def test_a_wrong_threshold_is_said_at_its_field(seeded):
    errors = wrong(seeded, low_spend_threshold="1.005")
    assert errors["settings"]["low_spend_threshold"].startswith(
        "“Low spend threshold” is '1.005', which is not allowed"
    )


def test_a_wrong_text_is_said_at_its_segment(seeded):
    [first, second] = wrong(seeded, message_boost="Hi {{ nobody }}")["segments"]
    assert "{{ nobody }} is no placeholder" in first["text"]
    assert second["text"] == ""
    [first, second] = wrong(seeded, messages='{"REWARD": {"es": "{{ x }}"}}')["segments"]
    assert first["text"] == ""
    assert "{{ x }} is no placeholder" in second["text"]


def test_a_mistake_without_a_place_on_the_page_is_said_as_a_whole(seeded):
    errors = wrong(seeded, messages='{"GONE": {"es": "{{ x }}"}}')
    assert "the text of segment GONE in es" in errors["whole"]
    assert "“Idle threshold” is 'x'" in wrong(seeded, idle_threshold="x")["whole"]
    assert wrong(seeded, low_spend_threshold="x")["whole"] == ""


def test_a_wrong_variable_that_no_run_reads_hinders_no_draft(seeded):
    editor = storing(alarm_threshold="high", message_queue_url="{{ x }}")
    answer = counted(seeded, editor, low_spend_threshold="120")
    assert answer["errors"] == {}
    assert answer["may_save"]
    assert pages.texted(seeded.engine, editor, seeded.window, changed(low_spend_threshold="120"), seeded.now) != {}
    rules = {"segments": [{"name": "A", "when": ["liked > alarm_threshold"]}], "otherwise": "NONE"}
    errors = counted(seeded, editor, segments=rules)["errors"]
    assert errors["settings"].keys() == {"alarm_threshold"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"segments": 5}',
        '{"segments": [], "segments": []}',
        '{"segments": [{"when": []}]}',
        "1" * 30_000,
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_list_of_segments_is_said_as_a_whole(text):
    errors = Draft({}, [Change("segments", text, None)]).errors()
    assert errors["whole"].endswith(".")


# --- recipients and texts


def test_it_says_how_many_may_be_texted_and_why_others_may_not(seeded):
    values = changed(low_spend_threshold="1000000")
    with_consent = "UPDATE customer SET opted_out_at = NULL, consent_at = registered_at WHERE phone IS NOT NULL"
    seeded.execute(sa.text(with_consent))
    seeded.execute(sa.text("UPDATE customer SET opted_out_at = now() WHERE customer_id <= 30"))
    with_phone = seeded.value("SELECT count(*) FROM customer WHERE phone IS NOT NULL AND opted_out_at IS NULL")
    answer = pages.texted(seeded.engine, EDITOR, seeded.window, values, seeded.now)
    assert answer["by_segment"] == {"BOOST": f"{with_phone} may be texted", "REWARD": "0 may be texted"}
    text = text_of(answer["part"])
    assert f"may be texted {with_phone} {with_phone} SMS segments" in text
    assert f"Left out: {800 - with_phone}" in text
    assert "Opted out: 30" in text


def test_a_draft_with_a_mistake_has_no_recipients(seeded):
    assert pages.texted(seeded.engine, EDITOR, seeded.window, changed(low_spend_threshold="x"), seeded.now) == {}


def test_a_text_that_cannot_be_read_has_no_preview(seeded):
    values = changed(message_boost="Hi {{ nobody }}")
    assert pages.read_texts(seeded.engine, Viewer(), EDITOR, seeded.window, values, customers={"BOOST": [1]}) == {
        "BOOST": ""
    }


def test_a_segment_without_customers_shows_made_up_ones(seeded):
    values = changed(low_spend_threshold="0")
    [page] = pages.read_texts(seeded.engine, Viewer(), EDITOR, seeded.window, values, customers={"BOOST": []}).values()
    assert "A made-up customer" in text_of(page)


# --- Variables that are wrong


def everything(**stored):
    return Editor(stored, {*Settings.model_fields, *stored}, {*Settings.model_fields, *stored})


@pytest.mark.parametrize(
    "stored",
    [
        {"alarm_threshold": "high"},
        {"message_queue_url": "{{ x }}"},
        {"low_spend_threshold": "cheap"},
        {"segments": "{"},
        {
            "segments": json.dumps({"segments": [{"name": "A", "when": ["liked > often_threshold"]}]}),
            "often_threshold": "x",
        },
    ],
)
def test_a_wrong_variable_leaves_the_page_readable(seeded, stored):
    text = text_of(pages.segments_page(seeded.engine, Viewer(), everything(**stored), seeded.window))
    assert "BOOST" in text or "A" in text


@pytest.mark.parametrize("stored", [{"alarm_threshold": "high"}, {"message_queue_url": "{{ x }}"}])
def test_a_wrong_variable_that_no_run_reads_stops_no_draft(seeded, stored):
    changes = [Change("low_spend_threshold", "120", None)]
    found = pages.counts(seeded.engine, everything(**stored), seeded.window, changes)
    assert (found["errors"], found["may_save"]) == ({}, True)
