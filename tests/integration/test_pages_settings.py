"""The page Texts and settings, as HTML, and what it says of unsaved changes."""

import html
import json

import pytest

from engage.pages import settings_page
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.settings import LABELS, Change, Settings
from tests.integration.test_pages_campaigns import EVIL, Tags, assert_inert, text_of

ALL = frozenset(Settings.model_fields)


def editor(**stored):
    return Editor(stored, ALL, ALL)


def the_page(engine, one):
    return settings_page.settings_page(engine, Viewer(), one)


def fields(page):
    """The attributes of each setting's field, by its name."""
    kinds = {"input", "textarea", "select"}
    return {a["name"]: a for tag, a in Tags(page).tags if tag in kinds and a.get("name") in ALL}


@pytest.fixture
def computed(world):
    """A campaign with other settings than the defaults, and one customer in BOOST."""
    world.purchase(world.customer(), 100)
    world.computed(low_spend_threshold="123.45", message_boost="Hi {{ first_name }}! Reply STOP.", approval_hours=3)
    return world


def test_every_setting_has_a_field_with_its_value_and_variable(engine):
    page = the_page(engine, editor(low_spend_threshold="120.5", require_approval="TRUE", sms_provider="twilio"))
    found = fields(page)
    assert found.keys() == ALL
    assert (found["low_spend_threshold"]["type"], found["low_spend_threshold"]["value"]) == ("text", "120.5")
    assert found["high_activity_threshold"]["value"] == "5.0"
    assert "checked" in found["require_approval"]
    assert "checked" not in found["sandbox_strict"]
    assert ("option", {"selected": None}) in Tags(page).tags
    for name, label in LABELS.items():
        assert label in text_of(page)
        assert f"engage_{name}" in text_of(page)
    assert f"All {len(ALL)} are valid" in text_of(page)


def test_a_default_is_marked(engine):
    marks = lambda page: page.count('data-mark="default">')  # noqa: E731
    assert marks(the_page(engine, editor())) == len(ALL)
    assert marks(the_page(engine, editor(approval_hours="48"))) == len(ALL)
    assert marks(the_page(engine, editor(approval_hours="47"))) == len(ALL) - 1


def test_a_wrong_variable_is_shown_as_it_stands_with_its_error(engine):
    page = the_page(engine, editor(approval_hours="soon", require_approval="perhaps", message_boost="{{ x }}"))
    found = fields(page)
    for name, value in {"approval_hours": "soon", "require_approval": "perhaps"}.items():
        assert (found[name]["type"], found[name]["value"]) == ("text", value)
        assert found[name]["aria-invalid"] == "true"
    assert "“Hours to wait for the approver” is 'soon', which is not allowed" in text_of(page)
    assert "3 settings are wrong" in text_of(page)
    assert "There is a preview once the text has no error." in text_of(page)


def test_what_is_written_in_a_variable_does_not_run(engine):
    page = the_page(engine, editor(message_boost=EVIL, alert_emails=EVIL, sms_provider=EVIL, sending_hours=EVIL))
    assert_inert(page)


def test_without_the_permission_the_last_campaigns_settings_are_shown_and_nothing_can_be_changed(computed):
    seen = Editor()
    page = the_page(computed.engine, seen)
    found = fields(page)
    assert found["low_spend_threshold"]["value"] == "123.45"
    assert all("readonly" in one or "disabled" in one for one in found.values())
    assert "alert_emails" not in found  # no campaign keeps the addresses
    assert "These are the settings of the last campaign" in text_of(page)
    assert "Save" not in text_of(page)
    assert "History" not in text_of(page)


def test_without_the_permission_and_a_campaign_it_says_what_to_do(engine):
    page = the_page(engine, Editor())
    assert "There is no campaign yet" in text_of(page)
    assert fields(page) == {}


def test_a_user_who_may_only_read_changes_nothing(engine):
    page = the_page(engine, Editor({"approval_hours": "7"}, ALL, ()))
    assert fields(page)["approval_hours"]["value"] == "7"
    assert all("readonly" in one or "disabled" in one for one in fields(page).values())
    assert 'id="save"' not in page


def test_a_setting_of_the_environment_says_so(engine):
    assert "AIRFLOW_VAR_" not in the_page(engine, editor())
    page = the_page(engine, Editor({}, ALL, ALL, {"approval_hours"}))
    assert "AIRFLOW_VAR_ENGAGE_APPROVAL_HOURS hides the Variable" in text_of(page)


def test_the_history_is_shown_only_to_those_who_may_read_it(engine):
    assert "History" not in text_of(the_page(engine, editor()))
    page = the_page(engine, Editor({}, ALL, ALL, (), []))
    assert "Airflow's audit log has no change of a setting." in text_of(page)


RULES = {
    "segments": [
        {"name": "VIP", "when": ["total_spend > vip_threshold", "total_spend > low_spend_threshold"]},
        {"name": "LAPSING", "when": ["days_since_last_purchase > 28"]},
    ],
    "otherwise": "OTHERS",
}
WRITTEN = {
    "segments": json.dumps(RULES),
    "vip_threshold": "500",
    "other_threshold": "7",
    "message_vip": "You are a VIP. Reply STOP to opt out.",
}


def written(**more):
    stored = WRITTEN | more
    names = ALL | stored.keys()
    return Editor(stored, names, names)


def named_fields(page):
    return {a["name"]: a for tag, a in Tags(page).tags if tag in {"input", "textarea"} and a.get("name")}


def test_settings_whose_names_staff_chose_stand_in_their_groups(engine):
    page = the_page(engine, written())
    found = named_fields(page)
    assert (found["vip_threshold"]["type"], found["vip_threshold"]["value"]) == ("text", "500")
    assert found["other_threshold"]["value"] == "7"
    assert "You are a VIP. Reply STOP to opt out.</textarea>" in page
    text = text_of(page)
    assert "Text for VIP engage_message_vip" in text
    assert "Vip threshold engage_vip_threshold" in text
    panels = page.partition('data-panel="segments-and-thresholds"')
    assert 'data-setting="message_vip"' in panels[0]
    assert 'data-setting="vip_threshold"' in panels[2].partition("data-panel")[0]
    assert "Named in VIP: total_spend > vip_threshold." in text
    assert "Named in VIP: total_spend > low_spend_threshold." in text
    assert "No rule names it. It takes a number from 0 to 1000000 with" in text  # high_activity_threshold
    assert f"All {len(ALL) + 3} are valid" in text
    assert 'data-mark="default">not set' not in panels[2]
    assert "Delete Vip threshold" in text


def test_rules_and_languages_are_edited_as_json_in_a_monospace_font(engine):
    page = the_page(engine, editor())
    assert named_fields(page)["segments"]["class"] == named_fields(page)["messages"]["class"] == "code"
    assert '[\n  {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]},\n' in html.unescape(page)
    wrong = the_page(engine, editor(segments='{"segments": []}', messages="{"))
    assert "“Segments and their rules” is" in text_of(wrong)
    assert '"segments" is a list of 1 to 20 segments' in text_of(wrong)
    assert named_fields(wrong)["messages"]["aria-invalid"] == "true"


def test_a_text_can_be_added_for_a_segment_without_one(engine):
    page = the_page(engine, written())
    assert "+ Write a text for LAPSING" in text_of(page)
    assert 'data-writes="message_lapsing"' in page
    assert "+ Write a text for VIP" not in text_of(page)
    assert "+ Write a text for OTHERS" not in text_of(page)  # of all other customers, who are never texted
    assert "+ Write a text" not in text_of(the_page(engine, Editor(WRITTEN, ALL | WRITTEN.keys(), ())))
    answer = checked(engine, written(), Change("message_lapsing", "Come back. Reply STOP to opt out.", None))
    assert "LAPSING" not in answer["offers"]
    assert "Come back." in text_of(answer["previews"]["message_lapsing"]["bubbles"])
    assert answer["may_save"]


def test_a_text_for_a_segment_that_no_rule_has_says_so(engine):
    text = text_of(the_page(engine, written(message_gone="Reply STOP to opt out.")))
    assert text.count("No segment of the rules has this name, so no customer gets this text.") == 3  # BOOST and REWARD
    assert "No segment of the rules" not in text_of(the_page(engine, editor()))


def test_a_threshold_that_the_changed_rules_name_gets_a_field(engine):
    rules = json.dumps({"segments": [{"name": "NEW", "when": ["liked > fans_threshold"]}]})
    answer = checked(engine, editor(), Change("segments", rules, None))
    assert not answer["may_save"]
    assert "needs the setting fans_threshold, and there is none" in answer["errors"]["segments"]
    [(name, field)] = answer["thresholds"].items()
    assert name == "fans_threshold"
    assert named_fields(field)["fans_threshold"] | {"value": ""} == named_fields(field)["fans_threshold"]
    assert "readonly" not in field
    assert "+ Write a text for NEW" in text_of(answer["offers"])
    both = [Change("segments", rules, None), Change("fans_threshold", "3", None)]
    answer = checked(engine, editor(), *both)
    assert answer["may_save"]
    assert answer["errors"] == {}
    assert checked(engine, editor(), both[0], Change("fans_threshold", "x", None))["errors"].keys() == {
        "fans_threshold"
    }


def test_what_is_written_in_a_chosen_variable_does_not_run(engine):
    page = the_page(engine, written(message_vip=EVIL, vip_threshold=EVIL, segments=EVIL, messages=EVIL))
    assert_inert(page)


def test_without_the_permission_the_last_campaigns_rules_are_shown(world):
    world.sessions(world.customer())
    world.computed(**{name: text for name, text in WRITTEN.items() if name != "other_threshold"})
    page = the_page(world.engine, Editor())
    found = named_fields(page)
    assert float(found["vip_threshold"]["value"]) == 500
    assert "readonly" in found["vip_threshold"]
    assert "+ Write a text" not in text_of(page)


def checked(engine, one, *changes):
    return settings_page.check(engine, one, changes)


def test_a_check_has_the_errors_of_a_run_and_says_whether_they_may_be_saved(engine):
    answer = checked(engine, editor(), Change("approval_hours", "0", None))
    assert answer["errors"].keys() == {"approval_hours"}
    assert not answer["may_save"]
    assert checked(engine, editor(), Change("approval_hours", "4", None))["may_save"]
    wrong = editor(approval_hours="soon")
    answer = checked(engine, wrong, Change("holdout_percent", "4", None))
    assert answer["errors"].keys() == {"approval_hours"}
    assert answer["may_save"]


def test_a_check_shows_the_text_to_a_usual_a_long_and_no_name(computed):
    text = "Hi {{ first_name }}, a text! Reply STOP to opt out."
    answer = checked(computed.engine, editor(price_per_segment="0.01"), Change("message_boost", text, None))
    bubbles = answer["previews"]["message_boost"]["bubbles"]
    assert [tag for tag in Tags(bubbles).tags if "data-example" in tag[1]] == [
        ("div", {"data-example": name}) for name in ("Ada", "Longest name", "No name")
    ]
    assert "Hi <mark>Ada</mark>, a text!" in bubbles
    assert "Hi <mark>there</mark>" in bubbles
    assert "$0.01 each" in bubbles
    facts = text_of(answer["previews"]["message_boost"]["facts"])
    assert "1 of 3 segments" in facts
    assert "says STOP" in facts
    assert "At most $0.01 for 1 customer" in facts


def test_a_check_names_the_character_that_doubles_the_price_and_the_line_that_is_added(engine):
    answer = checked(engine, editor(), Change("message_reward", "A text – with a dash " + "x" * 60, None))
    facts = text_of(answer["previews"]["message_reward"]["facts"])
    assert "EN DASH" in facts
    assert "UCS-2: it takes 2 segments instead of 1. Write - instead." in facts
    assert "Engage adds “Reply STOP to opt out.” at its end" in facts
    assert "2 of 3 segments" in facts


def test_a_check_of_what_cannot_be_read_has_no_preview(engine):
    answer = checked(engine, editor(), Change("message_boost", "{{ nobody }}", None))
    assert answer["previews"]["message_boost"]["bubbles"].strip() == ""
    assert answer["previews"]["message_reward"]["bubbles"].strip()
    evil = checked(engine, editor(), Change("message_boost", EVIL, None))["previews"]["message_boost"]
    assert "<img" not in evil["bubbles"] + evil["facts"]
