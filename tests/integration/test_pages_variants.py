"""Several texts for one segment on the pages: each is shown with its name, and none is lost."""

import json

import pytest

from engage.pages import csv_download, messages_page, segments_page, settings_page
from engage.pages.campaign_report import campaign_report
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.reports.approval_checks import checks
from engage.reports.message_list import Filters
from engage.settings import Change, Settings
from tests.integration.approvals import ask, found
from tests.integration.test_pages_approval import SETTINGS, page_of
from tests.integration.test_pages_campaigns import text_of
from tests.integration.test_segments_page import EDITOR, state_of

A, B = "Hi {{ first_name }}, text a. Reply STOP.", "Hi {{ first_name }}, text b. Reply STOP."
A_ES, B_ES = "Hola, texto a. Responde STOP.", "Hola, texto b. Responde STOP."
MESSAGES = {"BOOST": {"a": {"es": A_ES}, "b": {"default": B, "es": B_ES}}}
TEXTS = {"message_boost": A, "messages": json.dumps(MESSAGES)}
ALL = frozenset(Settings.model_fields)


@pytest.fixture
def bought(world):
    for n in range(12):
        world.purchase(world.customer(name=f"Ada {n}", locale="es-MX" if n % 3 == 0 else None), 62_10)
    return world


@pytest.fixture
def asked(bought):
    bought.computed(**TEXTS, **SETTINGS)
    ask(bought)
    return bought


def changed(**values):
    return [Change(name, value, None) for name, value in values.items()]


# --- before and after the campaign


def test_the_approver_sees_each_text_and_how_it_is_drawn(asked):
    text = text_of(page_of(asked))
    shown = {"Text a": "Hi Ada, text a.", "Text a in es": A_ES, "Text b": "Hi Ada, text b.", "Text b in es": B_ES}
    for name, words in shown.items():
        assert f"{name} {words}" in text
    assert "Drawn by chance: a 50.0%, b 50.0%. The reason: equal weights." in text
    assert "all others read the same" not in text


def test_each_text_is_shown_to_a_customer_who_was_drawn_for_it(asked):
    drawn = dict(asked.rows("SELECT customer_id, variant FROM message"))
    text = text_of(page_of(asked))
    for part in text.split("Text ")[1:5]:
        if "to customer " in part:
            customer_id = int(part.split("to customer ")[1].split()[0])
            assert drawn[customer_id] == part[0]


def test_the_question_in_airflow_names_each_text(bought):
    bought.computed(**TEXTS, **SETTINGS)
    question = ask(bought)
    drawn = dict(bought.rows("SELECT customer_id, variant FROM message"))
    assert list(question.texts) == ["BOOST a", "BOOST a in es", "BOOST b", "BOOST b in es"]
    assert [drawn[question.readers[name]] for name in question.texts] == ["a", "a", "b", "b"]
    first = {name: f"Hi Ada, text {name}. Reply STOP." for name in "ab"}
    assert list(question.texts.values()) == [first["a"], A_ES, first["b"], B_ES]


def test_the_question_has_its_warnings_at_the_first_text(bought):
    bought.computed(message_boost=A, messages=json.dumps({"BOOST": {"b": A}}), **SETTINGS)
    question = ask(bought)
    assert question.warnings == {"BOOST a": ("a and b are the same text, so a comparison of them shows nothing.",)}


def test_the_checks_go_over_all_texts(bought):
    silent = json.dumps({"BOOST": {"b": "Come back {{ first_name }}"}})
    bought.computed(message_boost=A, messages=silent, **SETTINGS)
    ask(bought)
    by_name = {one.name: one.words for one in checks(found(bought), as_of=bought.now)}
    assert by_name["Opt-out"] == "Engage adds “Reply STOP to opt out.” to BOOST"


def test_three_texts_are_all_texts(asked):
    by_name = {one.name: one.words for one in checks(found(asked), as_of=asked.now)}
    assert by_name["Opt-out"] == "all texts say how to opt out"


def test_the_report_shows_each_text(asked):
    text = text_of(campaign_report(asked.engine, Viewer(), asked.window))
    assert "Text a in es" in text
    assert "Text b in es" in text
    assert "Drawn by chance: a 50.0%, b 50.0%. The reason: equal weights." in text


def test_a_campaign_with_one_text_says_nothing_of_a_draw(bought):
    bought.computed(**SETTINGS)
    ask(bought)
    assert "Drawn by chance" not in text_of(page_of(bought))
    assert "Text a" not in text_of(page_of(bought))


# --- the page Segments


def test_the_page_segments_previews_each_text_for_its_customers(bought):
    bought.computed()
    values = changed(**TEXTS)
    [page] = segments_page.read_texts(
        bought.engine, Viewer(), EDITOR, bought.window, values, customers={"BOOST": [1, 2]}
    ).values()
    text = text_of(page)
    assert f"Text a in es Ada 0 {A_ES}" in text
    assert f"Text b in es Ada 0 {B_ES}" in text
    assert "Text a Ada 1 Hi Ada, text a." in text
    assert "Text b Ada 1 Hi Ada, text b." in text
    assert "Chance chooses one of the texts." in text
    assert "Also in es" in text


def test_a_message_names_the_text_that_was_drawn(asked):
    drawn = asked.rows("SELECT customer_id, variant FROM message ORDER BY variant")
    assert {variant for _, variant in drawn} == {"a", "b"}
    for customer_id, variant in drawn:
        page = text_of(messages_page.message_page(asked.engine, Viewer(), asked.window, customer_id))
        assert f"Text Text {variant} Phone" in page
    lines = "".join(csv_download.messages_csv(asked.engine, asked.window, Filters())).splitlines()
    assert lines[0].startswith("window_start,customer_id,segment,arm,variant,status,")
    assert sorted(line.split(",")[4] for line in lines[1:]) == [variant for _, variant in drawn]


def test_a_message_of_the_only_text_names_none(bought):
    bought.computed()
    bought.message()
    page = text_of(messages_page.message_page(bought.engine, Viewer(), bought.window, 1))
    assert "Segment BOOST Phone" in page


def test_a_segment_without_customers_shows_each_text_to_made_up_ones(bought):
    bought.computed()
    [page] = segments_page.read_texts(
        bought.engine, Viewer(), EDITOR, bought.window, changed(**TEXTS), customers={"BOOST": []}
    ).values()
    assert "Text b Ada Hi Ada, text b." in text_of(page)


def test_the_page_segments_starts_from_all_texts(bought):
    bought.computed()
    editor = Editor(TEXTS, ALL, ALL)
    state = state_of(segments_page.segments_page(bought.engine, Viewer(), editor, None))
    assert state["languages"] == MESSAGES


def test_other_users_start_from_the_texts_of_the_campaign(bought):
    bought.computed(**TEXTS)
    state = state_of(segments_page.segments_page(bought.engine, Viewer(), Editor(), None))
    assert state["languages"] == MESSAGES


def test_the_differences_name_each_text(bought):
    bought.computed()
    given = json.dumps({"BOOST": {"a": {"es": A_ES}, "b": B}, "REWARD": {"es": "Gracias. Responde STOP."}})
    answer = segments_page.counts(bought.engine, EDITOR, bought.window, changed(messages=given))
    text = text_of(answer["parts"]["differences"])
    assert f"BOOST a, es: {A_ES}" in text
    assert f"BOOST b: {B}" in text
    assert "REWARD, es: Gracias." in text


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"b": {"es": B_ES}}, "variant b has no text for customers whose language it lacks"),
        ({"b": "{{ x }}"}, "{{ x }} is no placeholder"),
        ({"b": {"default": B, "es": "ñ" * 600}}, "BOOST b in es takes"),
        ({"b": "ñ" * 600}, "BOOST b takes"),
        ({"a": A, "es": A_ES}, "beside 'es'"),
    ],
)
def test_a_wrong_variant_is_said_at_its_segment(bought, texts, words):
    bought.computed()
    values = changed(messages=json.dumps({"BOOST": texts}))
    errors = segments_page.counts(bought.engine, EDITOR, bought.window, values)["errors"]
    assert words in errors["segments"][0]["text"]
    assert errors["segments"][1]["text"] == ""
    assert errors["whole"] == ""


# --- the page Texts and settings


def test_the_page_settings_lists_the_texts_by_name_below_their_json(engine):
    editor = Editor(TEXTS, ALL, ALL)
    page = settings_page.settings_page(engine, Viewer(), editor)
    assert f"BOOST a {A} BOOST a in es {A_ES} BOOST b {B} BOOST b in es {B_ES}" in text_of(page)
    fewer = [Change("messages", json.dumps({"BOOST": {"b": B}}), TEXTS["messages"])]
    answer = settings_page.check(engine, editor, fewer)["previews"]["messages"]["facts"]
    assert f"2 texts, by segment, variant and language BOOST a {A} BOOST b {B}" in text_of(answer)
    wrong = settings_page.check(engine, editor, [Change("messages", "{", TEXTS["messages"])])
    assert wrong["previews"]["messages"]["facts"].strip() == ""


def test_a_text_that_is_not_sent_says_so_at_its_card(engine):
    stored = {"message_boost": A, "messages": json.dumps({"BOOST": {"a": "Another. Reply STOP.", "b": B}})}
    text = text_of(settings_page.settings_page(engine, Viewer(), Editor(stored, ALL, ALL)))
    assert "engage_messages has a text a for all customers, so engage_message_boost is not sent." in text
