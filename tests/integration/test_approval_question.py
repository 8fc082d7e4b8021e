"""Approval: what the approver is asked, by which runs, and that no customer is texted before the answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from engage.errors import GuardStop, NotApproved, NotReady, OverBudget, TooManyMessages
from engage.sending import listed_texts
from engage.sending.sender import SendingContext, send
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.texts import offer_code
from tests.integration.approvals import QUEUED, TABLES, ask, found, texted

# --- asking


def test_the_question_is_about_what_waits_and_counts_who_is_not_on_the_list(unapproved):
    asked = ask(unapproved)
    assert asked.messages == {"BOOST": 1, "REWARD": 1}
    assert (asked.segments, asked.skipped, asked.hours, asked.note, asked.guard) == (2, {"opted_out": 1}, 48, "", "")
    assert asked.texts["REWARD"].startswith("Thank you for being a regular!")
    assert asked.warnings == {}


def test_the_question_has_each_text_in_each_language(unapproved):
    languages = {"REWARD": {"es": "Gracias, {{ first_name }}. Reply STOP to opt out."}, "BOOST": {}}
    luis = unapproved.customer(name="Luis Vega", locale="es-MX")
    unapproved.sessions(luis, 48)
    unapproved.purchase(luis, 200_00)
    unapproved.computed(require_approval=True, messages=json.dumps(languages))
    asked = ask(unapproved)
    assert list(asked.texts) == ["BOOST", "REWARD", "REWARD in es"]
    assert asked.texts["REWARD in es"] == "Gracias, Luis. Reply STOP to opt out."
    assert asked.readers["REWARD in es"] == luis
    assert asked.unread == ()


def test_the_question_names_a_text_that_no_customer_on_the_list_reads(unapproved):
    unapproved.computed(require_approval=True, messages=json.dumps({"REWARD": {"fr": "Merci {{ name }}. STOP to end"}}))
    asked = ask(unapproved)
    assert (list(asked.texts), asked.unread) == (["BOOST", "REWARD"], ("REWARD in fr",))


def test_a_reader_of_a_rare_language_is_found_on_the_whole_list(unapproved, monkeypatch):
    monkeypatch.setattr(listed_texts, "LOOKED_AT", 1)
    last = unapproved.customer(name="Eva", locale="es")
    unapproved.computed(require_approval=True, messages=json.dumps({"BOOST": {"es": "Hola {{ name }}. Reply STOP."}}))
    asked = ask(unapproved)
    assert (asked.texts["BOOST in es"], asked.readers["BOOST in es"]) == ("Hola Eva. Reply STOP.", last)


def test_the_question_has_the_text_that_goes_out_and_no_offer_code(offers):
    offers.make(3)
    offers.bought(2)
    offers.computed(require_approval=True)
    asked = ask(offers.world)
    assert list(asked.texts) == ["BOOST"]
    assert all(offer_code.SAMPLE in text for text in asked.texts.values())


def test_the_list_is_queued_and_the_campaign_frozen_before_the_approver_is_asked(unapproved):
    ask(unapproved)
    assert texted(unapproved) == QUEUED
    assert found(unapproved).frozen
    assert found(unapproved).approval.sentence == "Approval was requested on 2026-11-10 09:00 UTC."


def test_asked_twice_it_is_the_same_list(unapproved):
    first, before = ask(unapproved), unapproved.dump(*TABLES)
    assert ask(unapproved) == first
    assert unapproved.dump(*TABLES) == before
    assert ask(unapproved, at=timedelta(hours=1)) == first
    until = unapproved.value("SELECT asked -> 'a run' ->> 'until' FROM campaign")
    assert datetime.fromisoformat(until) == unapproved.now + timedelta(hours=49)


def test_a_customer_who_comes_later_is_not_on_the_list(unapproved):
    ask(unapproved)
    unapproved.customer()
    unapproved.computed(require_approval=True)
    assert sum(ask(unapproved).messages.values()) == 2


def test_no_approver_is_asked_unless_the_setting_was_on_when_the_campaign_was_computed(world, recipients):
    world.computed()
    asked = ask(world)
    assert (asked.messages, asked.note) == (
        {},
        "No approval is required: engage_require_approval was off when the campaign was computed.",
    )
    assert world.ledger() == {}


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"backfill": True}, "A backfill run sends no messages."),
        ({"dry_run": True}, "A dry run: nothing was queued"),
    ],
    ids=["backfill", "dry run"],
)
def test_no_approver_is_asked_by_a_run_that_sends_nothing_and_nothing_is_frozen(unapproved, options, note):
    asked = ask(unapproved, **options)
    assert asked.messages == {}
    assert asked.note.startswith(note)
    assert not found(unapproved).frozen


def test_no_approver_is_asked_too_late_unless_the_run_sends_late(unapproved):
    assert ask(unapproved, at=timedelta(days=30)).note.startswith("The window ended 2026-11-09, too long ago")
    assert ask(unapproved, at=timedelta(days=30), send_late=True).messages == {"BOOST": 1, "REWARD": 1}


def test_no_approver_is_asked_about_an_empty_list(world):
    world.customer(opted_out_at=world.now)
    world.sessions(1)
    world.computed(require_approval=True)
    assert ask(world).note == "The list is empty, so there is nothing to approve."
    assert world.message().by_status == {"skipped": 1}


def test_a_list_over_the_cap_is_not_asked_about_and_not_frozen(world, recipients):
    world.computed(require_approval=True, max_messages_per_run=1)
    with pytest.raises(TooManyMessages, match="2 messages wait"):
        ask(world)
    assert not found(world).frozen
    assert world.ledger() == {}


def test_a_list_over_the_budget_is_not_asked_about_and_not_frozen(world, recipients):
    world.computed(require_approval=True, price_per_segment="1.5", message_budget="2.99")
    with pytest.raises(OverBudget, match=r"may cost \$3\.00, and message_budget allows \$2\.99"):
        ask(world)
    assert not found(world).frozen
    assert world.ledger() == {}
    world.computed(require_approval=True, price_per_segment="1.5", message_budget="3")
    asked = ask(world)
    assert (asked.cost, asked.budget) == (3, "$3.00")


def test_no_approver_is_asked_about_a_campaign_that_the_guard_has_stopped(world, recipients):
    with pytest.raises(GuardStop):
        world.extract(require_approval=True, guard_max_quiet_days=3)
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    with pytest.raises(GuardStop):
        ask(world)
    assert not found(world).frozen


def test_the_guard_stops_a_campaign_before_message_also_if_no_approval_is_required(world, recipients):
    with pytest.raises(GuardStop):
        world.extract(guard_max_quiet_days=3)
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    with pytest.raises(GuardStop):
        ask(world)
    assert ask(world, dry_run=True).messages == {}


def test_no_approver_is_asked_before_there_are_buckets(world, recipients):
    with pytest.raises(NotReady):
        ask(world)
    world.extract(require_approval=True)
    with pytest.raises(NotReady):
        ask(world)


# --- no customer is texted before


def test_message_run_alone_sends_nothing_and_leaves_everything_as_it_was(unapproved):
    before = unapproved.dump(*TABLES)
    with pytest.raises(NotApproved) as raised:
        unapproved.message()
    assert str(raised.value) == (
        f"The messages of the window {unapproved.window} require approval, as engage_require_approval was on when the "
        "campaign was computed. No message was sent. No approval was requested. Trigger a run of this window: its task "
        "approve asks the approver. An answer counts only while the task that asks still waits for it."
    )
    assert unapproved.dump(*TABLES) == before


def test_message_run_alone_sends_nothing_while_the_list_waits_for_an_answer(unapproved):
    ask(unapproved)
    with pytest.raises(NotApproved, match="Approval was requested on 2026-11-10 09:00 UTC"):
        unapproved.message()
    assert texted(unapproved) == QUEUED


def test_no_sender_takes_over_a_list_that_is_not_approved(unapproved):
    ask(unapproved)
    with pytest.raises(NotApproved):
        send(unapproved.engine, unapproved.window, SendingContext(lambda: unapproved.now))
    assert texted(unapproved) == QUEUED


def test_a_run_that_sends_nothing_is_not_refused(unapproved):
    assert unapproved.message(backfill=True).by_status == {"skipped": 3}
    assert unapproved.message(dry_run=True).by_status == {"queued": 2, "skipped": 1}


def test_the_steps_run_again_while_the_list_waits_for_an_answer_change_nothing(unapproved):
    ask(unapproved)
    before = unapproved.dump(*TABLES)
    assert unapproved.extract(low_spend_threshold=0).frozen
    assert aggregate(unapproved.engine, unapproved.window).frozen
    assert bucket(unapproved.engine, unapproved.window).frozen
    unapproved.message(backfill=True)
    unapproved.message(dry_run=True)
    assert unapproved.dump(*TABLES) == before
