"""Texts that a model drafts: asked for once, kept whatever the model writes, and sent only once a person has approved.

The model is a server on 127.0.0.1 that misbehaves in each way. What it is asked holds nothing about a customer.
"""

from __future__ import annotations

import json
from uuid import UUID

import pytest
import sqlalchemy as sa

from engage.drafts import chat, message_texts, proposals
from engage.drafts.propose import propose
from engage.errors import InputError, NoSuchDraft, SettingsError
from engage.settings import validate
from engage.statuses import ProposalStatus
from tests import llm_double
from tests.integration.conftest import UNGUARDED
from tests.llm_double import BRAND, KEY, MODEL, OFFER, TEXTS, Answer, content, error, written
from tests.phones import fictional_phone

ID = UUID(int=1)
BAD = "TACO TOWN!! 50% off at tacotown.example"


@pytest.fixture
def model(monkeypatch):
    """The model; the pauses between tries have no length."""
    monkeypatch.setattr(chat, "PAUSES", (0.0, 0.0))
    with llm_double.llm_double() as running:
        yield running


def settings(**changed):
    return validate(UNGUARDED | {"brand": BRAND} | changed)


def asked(world, number=1, *, segment="BOOST", language="", wanted=8, by="ada", at=None, chosen=None):
    wish = proposals.wish(chosen or settings(), segment, offer=OFFER, language=language, wanted=wanted)
    with world.engine.begin() as conn:
        return proposals.request(conn, UUID(int=number), wish, by=by, as_of=at or world.now)


def answered(world, model, number=1, *, chosen=None, at=None, seconds=20.0):
    return propose(
        world.engine,
        UUID(int=number),
        lambda: model.endpoint(seconds),
        lambda: chosen or settings(),
        lambda: at or world.now,
    )


def proposed(world, model, *texts, number=1, **options):
    """The drafts of a request that the model answers with these texts."""
    model.answer = lambda one: written(texts)
    asked(world, number, **options)
    answered(world, model, number)
    with world.engine.connect() as conn:
        return message_texts.of_proposal(conn, UUID(int=number))


def statuses(world):
    return world.rows("SELECT text, status FROM message_text ORDER BY message_text_id")


# --- asking


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
        ([Answer(b"{", delay=9.0)], 1, "did not answer within 1 seconds"),
        ([Answer(b" " * 400, drip=0.05)], 1, "did not answer within 1 seconds"),
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
    found = answered(world, model, seconds=1.0)
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


# --- near-duplicates


def test_a_text_like_one_in_use_another_draft_or_a_rejected_one_is_refused(world, model):
    first, second = proposed(world, model, TEXTS[0], TEXTS[1])
    with world.engine.begin() as conn:
        message_texts.reject(conn, second.message_text_id, by="ada", as_of=world.now)
    mine = settings().message("BOOST").replace("We miss you!", "We miss you at Taco Town!")
    found = proposed(world, model, TEXTS[0], f"{TEXTS[1]}!", mine, TEXTS[2], TEXTS[2], number=2)
    whys = [" ".join(one.faults) for one in found]
    assert f"% like the draft {first.message_text_id}:" in whys[0]
    assert f"% like the rejected text {second.message_text_id}:" in whys[1]
    assert "% like the text BOOST, which is in use:" in whys[2]
    assert whys[3] == ""
    assert "100% like text 4 of the same answer:" in whys[4]


# --- judging


def edited(world, draft, text, *, by="ben"):
    with world.engine.begin() as conn:
        return message_texts.edit(
            conn, draft.message_text_id, text=text, was=draft.text, settings=settings(), by=by, as_of=world.now
        )


def approved(world, draft, *, by="olga", chosen=None, was=None):
    with world.engine.begin() as conn:
        return message_texts.approve(
            conn, draft.message_text_id, was=was or draft.text, settings=chosen or settings(), by=by, as_of=world.now
        )


def test_an_edit_is_checked_again_and_names_its_editor(world, model):
    [bad] = proposed(world, model, BAD)
    worse = edited(world, bad, "Still 50% off at Taco Town")
    assert (worse.status, worse.source, worse.edited_by) == ("refused", "operator", "ben")
    good = edited(world, worse, f"\r\n{TEXTS[0]}\u200b ")
    assert (good.status, good.text, good.drafted, good.faults) == ("draft", TEXTS[0], BAD, ())
    assert edited(world, good, "Taco Town 50%").status == "refused"


def test_an_approved_text_is_the_next_variant_and_names_its_approver(world, model):
    first, second = proposed(world, model, TEXTS[0], TEXTS[1])
    found, messages = approved(world, first)
    assert (found.status, found.variant, found.approved_by, found.approved_at) == ("approved", "b", "olga", world.now)
    assert json.loads(messages) == {"BOOST": {"b": {"default": TEXTS[0]}}}
    again, more = approved(world, second, chosen=settings(messages=messages))
    assert again.variant == "c"
    assert settings(messages=more).by_variant("BOOST") == {
        "a": {"": settings().message("BOOST")}, "b": {"": TEXTS[0]}, "c": {"": TEXTS[1]},
    }  # fmt: skip


def test_a_text_in_a_language_takes_the_first_text_that_lacks_it(world, model):
    drafts = proposed(world, model, *TEXTS[:3], language="es")
    chosen = settings(messages=json.dumps({"BOOST": {"fr": "Bonjour"}}))
    found, messages = approved(world, drafts[0], chosen=chosen)
    assert (found.variant, json.loads(messages)) == ("a", {"BOOST": {"fr": "Bonjour", "es": TEXTS[0]}})
    with pytest.raises(InputError, match="Each text of BOOST has its es already"):
        approved(world, drafts[1], chosen=settings(messages=messages))


def test_a_segment_with_five_texts_takes_no_more(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    full = {"BOOST": {name: f"Text {name} of ours alone" for name in "bcde"}}
    with pytest.raises(InputError, match="BOOST has five texts, a to e"):
        approved(world, draft, chosen=settings(messages=json.dumps(full)))


def test_a_text_that_the_settings_have_already_is_approved_where_it_is(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    chosen = settings(messages=json.dumps({"BOOST": {"c": TEXTS[0]}}))
    found, messages = approved(world, draft, chosen=chosen)
    assert (found.variant, messages) == ("c", None)


def test_what_the_checks_refuse_by_now_cannot_be_approved(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    with pytest.raises(InputError, match=r"It does not name Burger Barn\. Edit it first\."):
        approved(world, draft, chosen=settings(brand="Burger Barn"))
    [bad] = proposed(world, model, BAD, number=2)
    with pytest.raises(InputError, match="may not be sent as it stands"):
        approved(world, bad)
    lost = settings(segments='{"segments": [{"name": "OTHER", "when": ["total_spend < 1"]}], "otherwise": "NONE"}')
    with pytest.raises(InputError, match="No rule has the segment BOOST any more"):
        approved(world, draft, chosen=lost)
    assert {status for _, status in statuses(world)} == {"draft", "refused"}


def test_what_another_user_has_changed_or_decided_stays(world, model):
    first, second = proposed(world, model, TEXTS[0], TEXTS[1])
    edited(world, first, TEXTS[2])
    with pytest.raises(InputError, match="Another user has edited this draft meanwhile"):
        approved(world, first)
    approved(world, second)
    for judge in (lambda: approved(world, second), lambda: edited(world, second, "x")):
        with pytest.raises(InputError, match=f"The draft {second.message_text_id} is decided on: olga approved it."):
            judge()
    with world.engine.begin() as conn, pytest.raises(InputError, match="remove text b of BOOST from its texts"):
        message_texts.reject(conn, second.message_text_id, by="ben", as_of=world.now)


def test_a_rejection_is_for_good_and_the_same_twice(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    with world.engine.begin() as conn:
        once = message_texts.reject(conn, draft.message_text_id, by="ada", as_of=world.now)
        assert message_texts.reject(conn, draft.message_text_id, by="ben", as_of=world.now) == once
    assert (once.status, once.rejected_by) == ("rejected", "ada")
    with pytest.raises(InputError, match="ada rejected it"):
        approved(world, draft)
    with world.engine.begin() as conn, pytest.raises(NoSuchDraft, match="no drafted text with the id 999"):
        message_texts.reject(conn, 999, by="ada", as_of=world.now)


# --- nothing that no person approved is sent


@pytest.mark.parametrize(
    "change",
    [
        "status = 'approved'",
        "status = 'approved', variant = 'b', approved_at = now()",
        "status = 'approved', variant = 'b', approved_by = 'ada'",
        "variant = 'b'",
        "status = 'rejected'",
        "source = 'operator'",
        "lint = '[\"why\"]'",
        "status = 'refused'",
        "status = 'sent'",
    ],
)
def test_the_database_keeps_no_approval_without_a_person_and_no_status_against_its_checks(world, model, change):
    proposed(world, model, TEXTS[0])
    with pytest.raises(sa.exc.IntegrityError, match="message_text_"), world.engine.begin() as conn:
        conn.execute(sa.text(f"UPDATE message_text SET {change}"))


def test_a_refused_text_is_not_approved_by_any_update(world, model):
    proposed(world, model, BAD)
    change = "status = 'approved', variant = 'b', approved_by = 'ada', approved_at = now()"
    with pytest.raises(sa.exc.IntegrityError, match="message_text_lint_check"), world.engine.begin() as conn:
        conn.execute(sa.text(f"UPDATE message_text SET {change}"))


def test_a_campaign_sends_the_approved_text_and_no_other(world, model):
    drafts = proposed(world, model, *TEXTS[:4], BAD)
    for _ in range(30):
        world.purchase(world.customer(name="Ada Diaz"), 100)
    with world.engine.begin() as conn:
        message_texts.reject(conn, drafts[1].message_text_id, by="olga", as_of=world.now)
    _, messages = approved(world, drafts[0])
    world.computed(brand=BRAND, messages=messages)
    world.message()
    bodies = {body for (body,) in world.rows("SELECT body FROM message WHERE status = 'accepted'")}
    assert bodies == {
        settings().message("BOOST"),
        f"{TEXTS[0].replace('{{ first_name }}', 'Ada')} Reply STOP to opt out.",
    }
