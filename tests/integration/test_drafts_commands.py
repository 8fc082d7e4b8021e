"""``engage texts propose``, ``drafts``, ``approve`` and ``reject``, with a model on 127.0.0.1."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from engage.cli import main
from engage.settings import validate
from tests.llm_double import BRAND, KEY, MODEL, OFFER, TEXTS, error, llm_double, written

BRANDED = ("--set", f"brand={BRAND}")
ASKING = ("texts", "propose", "--segment", "BOOST", "--offer", OFFER)


@pytest.fixture
def model(monkeypatch):
    with llm_double() as running:
        monkeypatch.setenv("ENGAGE_LLM_URL", running.url)
        yield running


@pytest.fixture
def two(model, command):
    """A good draft and a refused one."""
    model.answer = lambda one: written([TEXTS[0], "50% off at Taco Town"])
    return json.loads(command(*ASKING, "--count", "2", *BRANDED, "--json"))


def failing(*arguments):
    done = CliRunner().invoke(main.app, arguments)
    assert done.exit_code == 1
    return str(done.exception)


def test_texts_are_asked_for_and_printed_with_what_the_checks_find(model, command):
    model.answer = lambda one: written([TEXTS[0], "50% off at Taco Town"])
    said = command(*ASKING, "--count", "2", "--language", "es", *BRANDED)
    assert f"1 BOOST in es: waits for a person\n  {TEXTS[0]}" in said
    assert "2 BOOST in es: refused by the checks" in said
    assert "It has “50%”, which the offer “10% off the next meal” does not have." in said
    assert "The model wrote 2 texts. The checks refuse 1 of them." in said
    assert json.loads(model.asked[0].body["messages"][1]["content"])["number_of_texts"] == 2


def test_a_chain_without_a_name_is_said(model, command):
    assert "engage_brand is empty, so no text was checked for the chain's name." in command(*ASKING)


def test_drafts_are_listed_until_they_are_decided_on(two, command):
    assert [(one["id"], one["status"], one["model"], one["variant"]) for one in two] == [
        (1, "draft", MODEL, None), (2, "refused", MODEL, None),
    ]  # fmt: skip
    assert [one["id"] for one in json.loads(command("texts", "drafts", "--json"))] == [2, 1]
    command("texts", "reject", "2")
    assert [one["id"] for one in json.loads(command("texts", "drafts", "--json"))] == [1]
    assert "2 BOOST: rejected by " in command("texts", "drafts", "--all")
    assert "No drafted text waits." in command("texts", "drafts", "--segment", "REWARD")


def test_an_approval_prints_the_setting_for_the_next_campaign(two, command, world):
    said = command("texts", "approve", "1", *BRANDED)
    assert "approved text b of BOOST: Hungry again" in said
    messages = said.splitlines()[-1]
    assert validate({"messages": messages}).by_variant("BOOST")["b"] == {"": TEXTS[0]}
    assert world.rows("SELECT status, variant FROM message_text WHERE message_text_id = 1") == [("approved", "b")]
    assert "is decided on" in failing("texts", "approve", "1", *BRANDED)
    again = json.loads(command(*ASKING, *BRANDED, "--set", f"messages={messages}", "--json"))
    assert any("% like the text BOOST b, which is in use" in why for one in again for why in one["faults"])


def test_what_the_checks_refuse_or_no_draft_has_is_not_approved(two):
    assert "The text may not be sent as it stands." in failing("texts", "approve", "2", *BRANDED)
    assert "There is no drafted text with the id 99." in failing("texts", "approve", "99")
    assert "There is no drafted text with the id 99." in failing("texts", "reject", "99")


def test_without_a_model_nothing_is_asked(monkeypatch, world):
    monkeypatch.delenv("ENGAGE_LLM_URL", raising=False)
    assert "ENGAGE_LLM_URL is not set, so there is no model to ask." in failing(*ASKING)
    assert world.rows("SELECT count(*) FROM text_proposal") == [(0,)]


@pytest.mark.usefixtures("command")
def test_a_model_that_refuses_ends_with_its_reason_and_not_its_key(model, world):
    model.in_turn(error(401, KEY))
    why = failing(*ASKING)
    assert "refuses the key of ENGAGE_LLM_URL (401)" in why
    assert KEY not in why
    assert world.rows("SELECT status, error FROM text_proposal") == [("failed", why)]
