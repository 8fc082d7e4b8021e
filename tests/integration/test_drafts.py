"""Texts that a model drafts: asked for once, and kept whatever the model writes.

The model is a server on 127.0.0.1 that misbehaves in each way. What it is asked holds nothing about a customer.
"""

from __future__ import annotations

import json
from uuid import UUID

import pytest
import sqlalchemy as sa

from engage.drafts import proposals
from engage.drafts.propose import propose
from engage.errors import InputError, NoSuchDraft, SettingsError
from engage.statuses import ProposalStatus
from tests import llm_double
from tests.integration.drafting import BAD, answered, asked, proposed, settings, statuses
from tests.llm_double import BRAND, KEY, MODEL, OFFER, TEXTS, Answer, content, error, written
from tests.phones import fictional_phone

ID = UUID(int=1)


def test_each_text_of_the_answer_is_kept_and_what_fails_a_check_has_its_reasons(world, model):
    drafts = proposed(world, model, *TEXTS, BAD)
    assert [one.text for one in drafts] == [*TEXTS, BAD]
    assert [one.status for one in drafts] == ["draft"] * 8 + ["refused"]
    assert [bool(one.faults) for one in drafts] == [False] * 8 + [True]
    assert {(one.source, one.model, one.offer, one.proposed_by, one.variant) for one in drafts} == {
        ("model", MODEL, OFFER, "ada", None)
    }
    assert [one.drafted for one in drafts] == [*TEXTS, BAD]
    with world.engine.connect() as conn:
        found = proposals.find(conn, ID, as_of=world.now)
    assert (found.status, found.model) == (ProposalStatus.DONE, MODEL)
    assert found.sentence == "The model wrote 9 texts; 8 were asked for. The checks refuse 1 of them."


def test_the_request_asks_for_json_and_holds_the_rule_the_offer_and_the_texts_in_use(world, model):
    chosen = settings(messages=json.dumps({"BOOST": {"b": "Another text of ours"}}), low_spend_threshold="87.40")
    asked(world, language="es-MX", wanted=3)
    answered(world, model, chosen=chosen)
    [one] = model.asked
    assert one.headers["authorization"] == f"Bearer {KEY}"
    assert one.body["model"] == MODEL
    assert one.body["response_format"]["json_schema"]["schema"]["required"] == ["texts"]
    system, user = (message["content"] for message in one.body["messages"])
    found = json.loads(user)
    assert "{{ first_name }}" in found["placeholders"]
    assert "{{ offer_code }}" not in found["placeholders"]
    assert found["customers_of_the_segment"] == "Spend below 87.40"
    assert (found["segment"], found["offer"], found["brand"], found["language"], found["number_of_texts"]) == (
        "BOOST", OFFER, BRAND, "es-mx", 3,
    )  # fmt: skip
    assert chosen.message("BOOST") in found["texts_that_no_text_may_resemble"]
    assert "Another text of ours" in found["texts_that_no_text_may_resemble"]
    assert "JSON" in system


def test_the_request_holds_nothing_about_any_customer(world, model):
    people = [("Zuleika Quimby-Ferro", fictional_phone(1)), ("Ortolan Fitzwilliam", fictional_phone(2))]
    for n, (name, phone) in enumerate(people):
        customer = world.customer(name=name, phone=phone, locale="qu-PE")
        world.purchase(customer, 1_234_567 + n)
        world.app_event(customer, "liked", "huitlacoche")
    world.computed(brand=BRAND)
    world.execute(sa.text("UPDATE customer SET customer_id = customer_id + 987654000"))
    proposed(world, model, *TEXTS)
    [one] = model.asked
    sent = json.dumps(one.headers) + one.raw
    rows = world.rows("SELECT customer_id, name, phone, locale, phone_hash FROM customer")
    personal = [str(value) for row in rows for value in row[:4]] + [row[4].hex() for row in rows if row[4]]
    personal += [word for name, _ in people for word in name.split()] + ["12345.67", "1234567", "huitlacoche"]
    assert [value for value in personal if value in sent] == []
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("answers", "requests", "sentence"),
    [
        ([error(429)], 3, "is busy or broken (429: no)"),
        ([error(429, Retry_After="9999")], 1, "Ask again in 9999 seconds."),
        ([error(500)], 3, "is busy or broken (500: no)"),
        ([error(502)], 3, "is busy or broken (502: no)"),
        ([error(503)], 3, "is busy or broken (503: no)"),
        ([error(400)], 2, "refuses the request (400: no)"),
        ([error(401)], 1, "refuses the key of the connection engage_llm (401)"),
        ([error(403)], 1, "refuses the key of the connection engage_llm (403)"),
        ([error(404)], 1, "does not know the path or the model"),
        ([Answer(b"", 302, {"Location": "/x"})], 1, "sends its callers to another address (302)"),
        ([Answer(b"{", delay=30.0)], 1, "did not answer within 3 seconds"),
        ([Answer(b" " * 400, drip=0.1)], 1, "did not answer within 3 seconds"),
        ([Answer(b"", reset=True)], 1, "broke off its answer"),
        ([Answer(b"x" * 65536, endless=True)], 1, "answers with more than 1 MB"),
        ([Answer(b"\xff\xfe")], 1, "bytes that are not UTF-8"),
        ([Answer(b"<html>no</html>")], 1, "something else than JSON"),
        ([Answer(b'{"choices": []}')], 1, "without a choice"),
        ([content("I am sorry, I cannot.")], 1, "holds no text in the form that was asked for"),
        ([content('{"texts": ["Hungry ag', finish="length")], 1, "was cut before its first text ended"),
        ([content('{"texts": [7, null]}')], 1, "holds no text in the form that was asked for"),
    ],
)
def test_a_model_that_misbehaves_is_not_stormed_and_leaves_a_sentence(world, model, answers, requests, sentence):
    model.in_turn(*answers)
    asked(world)
    found = answered(world, model, seconds=3.0 if "within 3 seconds" in sentence else 30.0)
    assert found.status is ProposalStatus.FAILED
    assert sentence in found.sentence
    assert KEY not in found.sentence
    assert answered(world, model) == found  # a retry of the task asks no more
    assert len(model.asked) == requests
    assert statuses(world) == []


@pytest.mark.parametrize(
    ("answer", "kept", "note"),
    [
        (content(f"Of course!\n{json.dumps({'texts': TEXTS[:2]})}\nEnjoy."), 2, "The model wrote 2 texts."),
        (content(f"```json\n{json.dumps({'texts': TEXTS[:2]})}\n```"), 2, "The model wrote 2 texts."),
        (
            content(json.dumps({"texts": TEXTS[:3]})[:-20], finish="length"),
            2,
            "The model wrote 2 texts. Its answer was cut, and the last text left out.",
        ),
        (written([*TEXTS[:2], 7, None]), 2, "The model wrote 2 texts. 2 of its items were no text."),
        (written(TEXTS[:1]), 1, "The model wrote 1 text; 2 were asked for."),
        (written(TEXTS), 8, "The model wrote 8 texts; 2 were asked for."),
        (written([f"Taco Town \ud800{n}\x00" for n in range(50)]), 20, "The checks refuse 20 of them."),
    ],
)
def test_an_answer_in_another_form_loses_no_draft(world, model, answer, kept, note):
    model.in_turn(answer)
    asked(world, wanted=2)
    assert note in answered(world, model).sentence
    assert len(statuses(world)) == kept


def test_no_server_is_said(world, model):
    asked(world)
    port = model.port
    with llm_double.llm_double() as gone:
        model.port = gone.port
    assert "No server answers at 127.0.0.1" in answered(world, model).sentence
    model.port = port


def test_a_request_is_answered_once_however_often_its_task_runs(world, model):
    assert asked(world)
    assert not asked(world)
    for _ in range(3):
        answered(world, model)
    assert len(model.asked) == 1
    assert len(statuses(world)) == 8


def test_a_process_that_was_lost_while_it_asked_asks_no_more(world, model):
    asked(world)
    with world.engine.begin() as conn:
        assert proposals.claim(conn, ID, as_of=world.now)
    found = answered(world, model)
    assert (found.status, found.sentence, model.asked) == (ProposalStatus.FAILED, proposals.LOST, [])


def test_an_answer_that_comes_after_its_process_was_taken_for_lost_loses_no_draft(world, model):
    """Airflow may run a task twice at the same time."""

    def late(one):
        assert answered(world, model).sentence == proposals.LOST
        return written(TEXTS)

    model.answer = late
    asked(world)
    assert answered(world, model).status is ProposalStatus.DONE
    assert (len(model.asked), len(statuses(world))) == (1, 8)


def test_a_request_that_waits_too_long_is_not_made(world, model):
    asked(world, at=world.now - proposals.EXPIRES_AFTER * 2)
    found = answered(world, model)
    assert (found.status, found.sentence, model.asked) == (ProposalStatus.FAILED, proposals.EXPIRED, [])


def test_settings_that_are_wrong_or_a_missing_connection_are_said(world, model):
    def wrong():
        raise SettingsError("engage_holdout_percent is wrong.")

    asked(world)
    found = propose(world.engine, ID, model.endpoint, wrong, lambda: world.now)
    assert (found.status, found.sentence) == (ProposalStatus.FAILED, "engage_holdout_percent is wrong.")
    with pytest.raises(NoSuchDraft, match="no request for texts with the id"):
        answered(world, model, 9)


def test_a_variable_that_cannot_be_read_now_leaves_the_request_for_a_retry(world, model):
    def unread():
        raise RuntimeError("Airflow lists the Variable but does not give its value")

    asked(world)
    with pytest.raises(RuntimeError, match="does not give its value"):
        propose(world.engine, ID, model.endpoint, unread, lambda: world.now)
    assert (answered(world, model).status, len(model.asked)) == (ProposalStatus.DONE, 1)


def test_a_user_asks_twenty_times_an_hour(world):
    assert [asked(world, number) for number in range(1, 21)] == [True] * 20
    with pytest.raises(InputError, match="asked for texts 20 times within the hour, and 20 are allowed"):
        asked(world, 21)
    assert asked(world, 21, by="ben")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"segment": "NONE"}, "'NONE' is no segment of the rules that are set; there are BOOST, REWARD"),
        ({"offer": " "}, "The offer has 0 characters"),
        ({"offer": "x" * 201}, "The offer has 201 characters; it takes 1 to 200"),
        ({"offer": "a\u200bb"}, "invisible character U+200B"),
        ({"language": "Spanish!"}, "'Spanish!' is no language"),
        ({"wanted": 0}, "0 texts were asked for; one request takes 1 to 12"),
        ({"wanted": 13}, "13 texts were asked for"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(changed, sentence):
    given = {"segment": "BOOST", "offer": OFFER, "language": "", "wanted": 8} | changed
    with pytest.raises(InputError, match=sentence.replace("+", r"\+")):
        proposals.wish(settings(), given.pop("segment"), **given)
