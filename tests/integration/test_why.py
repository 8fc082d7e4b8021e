"""``engage why``: one page that explains a customer's text, or why there is none."""

import json
import re
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from engage.cli import main
from engage.customers import erasure, profile
from engage.customers.profile import Profile
from engage.errors import InputError, NoSuchCustomer, NotReady
from engage.reports.why import explain
from engage.window import Window
from tests.integration.conftest import KEY

PARTS = ["Consent", "Numbers", "Rule", "Experiment", "Hours", "Approval", "Receipt"]


@pytest.fixture(autouse=True)
def another_customer(world):
    """A campaign needs an event."""
    world.sessions(world.customer())


@pytest.fixture
def told(world):
    """The answer for a customer, and its sentences by part."""

    def ask(customer_id, window=None):
        with world.engine.begin() as conn:
            found = explain(conn, window or world.window, customer_id, currency="EUR", as_of=world.now)
        return found.answer, {part.title: " ".join(part.sentences) for part in found.sections}

    return ask


def test_a_text_is_explained_from_the_numbers_to_the_receipt(world, told):
    texted = world.customer(name="Ada Diaz")
    world.purchase(texted, 1250)
    world.sessions(texted, 16)
    world.computed()
    world.message()
    answer, parts = told(texted)
    assert answer == "Texted as a customer of BOOST. The message is accepted."
    assert list(parts) == PARTS
    assert parts["Numbers"].endswith("spend €12.50 in 1 purchase, 16 sessions, which is 2 a week.")
    assert parts["Rule"] == "BOOST: spend €12.50 is below €100.00. So the segment is BOOST."
    assert parts["Experiment"].startswith("Chance put the customer among those who get a text")
    assert parts["Hours"] == "The sandbox delivers nothing, so no time of day was checked."
    assert parts["Approval"].startswith("No approval was required when the campaign was computed.")
    assert "accepted by the provider." in parts["Receipt"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"require_approval": True}, "Approval is required, and was not requested yet."),
        ({"approval_above": 1}, "A list of more than 1 message requires approval, and none was requested."),
        ({}, "No approval was required when the campaign was computed."),
    ],
)
def test_an_approval_that_was_not_requested_is_explained_by_the_settings(world, told, settings, said):
    texted = world.customer()
    world.purchase(texted, 1250)
    world.computed(**settings)
    assert told(texted)[1]["Approval"].startswith(said)


def test_the_consent_is_that_of_the_time_of_the_text(world, told):
    agreed, stopped = world.now - timedelta(days=90), world.now + timedelta(days=1)
    with world.engine.begin() as conn:
        given = Profile(phone="+14155550123", registered_at=agreed, consent_at=agreed, consent_source="till in Bonn")
        profile.put(conn, 17, given, hash_key=KEY, as_of=agreed)
    world.sessions(17)
    world.computed()
    world.message()
    with world.engine.begin() as conn:
        profile.opt_out(conn, 17, as_of=stopped)
    answer, parts = told(17)
    assert answer.startswith("Texted")
    assert parts["Consent"].startswith("On 10 Nov 2026, 09:00:00 UTC: customer 17 might be texted: consent given")
    assert "till in Bonn" in parts["Consent"]
    assert "pted out" not in parts["Consent"]


def test_a_skipped_message_is_explained_by_its_reason(world, told):
    silent = world.customer(consent_at=None)
    world.computed()
    world.message()
    answer, parts = told(silent)
    assert answer == "Not texted: no consent."
    assert parts["Receipt"].startswith("It was skipped at once when the list was made")


def test_the_holdout_is_explained_by_its_group(world, told):
    held = world.customer()
    world.computed(holdout_percent=100)
    world.message()
    answer, parts = told(held)
    assert answer == "Not texted: held out, as a comparison."
    assert parts["Experiment"].startswith("Chance put the customer in the holdout, 100% of the customers to text.")


def test_a_customer_of_a_segment_without_a_text_has_no_message(world, told):
    quiet = world.customer()
    world.purchase(quiet, 20_000)
    world.computed()
    world.message()
    answer, parts = told(quiet)
    assert answer == "Not texted: the campaign has no message for this customer of NONE."
    assert parts["Receipt"] == "There is no message."
    assert parts["Rule"] == (
        "Not BOOST: spend €200.00 is not below €100.00. Not REWARD: 0 sessions a week are not more than 5. "
        "So the segment is NONE."
    )


def test_the_time_of_day_there_is_told_for_a_strict_provider(world, told):
    texted = world.customer(phone="+14155550123", time_zone="America/Los_Angeles")
    world.now = world.now.replace(hour=18)
    world.computed(sandbox_strict=True)
    world.message()
    assert re.search(r"claimed it at .*, 1[01]:\d\d there\. Texts go out 8:00-21:00\.", told(texted)[1]["Hours"])


def test_unknown_customers_and_windows_get_a_sentence(world, told):
    known = world.customer()
    with pytest.raises(NotReady, match="There is no campaign for the window"):
        told(known)
    world.computed()
    with pytest.raises(NoSuchCustomer, match=r"holds nothing about customer 99: .* was forgotten"):
        told(99)
    with pytest.raises(NotReady):
        told(known, Window.containing(world.now).previous().previous())


def test_a_forgotten_customer_leaves_no_answer(world, told):
    gone = world.customer()
    world.computed()
    world.message()
    erasure.forget(world.engine, gone, as_of=world.now)
    with pytest.raises(NoSuchCustomer):
        told(gone)


@pytest.fixture
def run(url, monkeypatch):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)

    def invoke(*arguments):
        done = CliRunner().invoke(main.app, ["why", *map(str, arguments)])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return invoke


def test_the_command_writes_a_page_and_its_facts_without_a_phone(world, run, tmp_path):
    texted = world.customer(phone="+14155550123", name="<b>Ada</b>")
    world.computed(message_boost="Hi {{ first_name }}! Reply STOP to opt out.")
    world.message()
    window = f"{world.window.start:%Y-%m-%d}"
    said = run("--customer", texted, "--window", window, "--into", tmp_path)
    page, facts = ((tmp_path / f"why-{texted}-{window}.{kind}").read_text() for kind in ("html", "json"))
    found = json.loads(facts)
    assert list(found["sections"]) == PARTS
    assert "Hi &lt;b&gt;Ada&lt;/b&gt;!" in page
    assert "<b>" not in page
    assert found["answer"] in said
    assert all(sentence in said.replace("\n", " ") for sentence in found["sections"]["Rule"])
    assert not [text for text in (page, facts, said) if "4155550123" in text or "0123" in text]
    assert json.loads(run("--customer", texted, "--window", window, "--json"))["answer"] == found["answer"]


def test_a_folder_that_is_missing_gets_a_sentence(world, run, tmp_path):
    texted = world.customer()
    world.computed()
    with pytest.raises(InputError, match=r"cannot be written: No such file or directory\. Name a folder with --into"):
        run("--customer", texted, "--window", f"{world.window.start:%Y-%m-%d}", "--into", tmp_path / "none")
