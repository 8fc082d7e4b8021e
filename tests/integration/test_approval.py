"""Approval: the approved list is the one that goes out, and no customer is texted before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.errors import GuardStop, NotApproved, NotReady, TooLate, TooManyMessages
from engage.reports.report import report
from engage.sending.sender import SendingContext, send
from engage.steps import approve
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.message import message
from engage.storage.schema import customer

QUEUED = dict.fromkeys((1, 2), "queued")
ACCEPTED = dict.fromkeys((1, 2), "accepted")
REJECTED = dict.fromkeys((1, 2), "skipped/rejected")
LATER = timedelta(hours=3)
TABLES = ("campaign", "customer_activity", "customer_bucket", "message")


@pytest.fixture
def customers(world):
    """Two customers who may be texted, and one who may not."""
    found = [world.customer(), world.customer(), world.customer(opted_out_at=world.now)]
    world.sessions(found[1], 48)
    world.purchase(found[1], 200_00)
    return found


@pytest.fixture
def computed(world, customers):
    world.computed(require_approval=True)
    return world


def ask(world, at=timedelta(0), run_id="a run", **options):
    return approve.ask(world.engine, world.window, options=RunOptions(**options), run_id=run_id, as_of=world.now + at)


def answer(world, *, approved, by="ada", run_id="a run", at=timedelta(hours=1)):
    return approve.answer(world.engine, world.window, approved=approved, by=by, run_id=run_id, as_of=world.now + at)


def texted(world):
    return {customer: fate for customer, fate in world.ledger().items() if not fate.endswith("opted_out")}


def found(world):
    with world.engine.begin() as conn:
        return campaign.find(conn, world.window)


# --- asking


def test_the_question_is_about_what_waits_and_counts_who_is_not_on_the_list(computed):
    asked = ask(computed)
    assert asked.messages == {"BOOST": 1, "REWARD": 1}
    assert (asked.segments, asked.skipped, asked.hours, asked.note, asked.guard) == (2, {"opted_out": 1}, 48, "", "")
    assert asked.texts["REWARD"].startswith("Thank you for being a regular!")
    assert asked.warnings == {}


def test_the_list_is_queued_and_the_campaign_frozen_before_the_approver_is_asked(computed):
    ask(computed)
    assert texted(computed) == QUEUED
    assert found(computed).frozen
    assert found(computed).approval.sentence == "Approval was requested on 2026-11-10 09:00 UTC."


def test_asked_twice_it_is_the_same_list(computed):
    first, before = ask(computed), computed.dump(*TABLES)
    assert ask(computed) == first
    assert computed.dump(*TABLES) == before
    assert ask(computed, at=timedelta(hours=1)) == first
    until = computed.value("SELECT asked -> 'a run' ->> 'until' FROM campaign")
    assert datetime.fromisoformat(until) == computed.now + timedelta(hours=49)


def test_a_customer_who_comes_later_is_not_on_the_list(computed):
    ask(computed)
    computed.customer()
    computed.computed(require_approval=True)
    assert sum(ask(computed).messages.values()) == 2


def test_no_approver_is_asked_unless_the_setting_was_on_when_the_campaign_was_computed(world, customers):
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
def test_no_approver_is_asked_by_a_run_that_sends_nothing_and_nothing_is_frozen(computed, options, note):
    asked = ask(computed, **options)
    assert asked.messages == {}
    assert asked.note.startswith(note)
    assert not found(computed).frozen


def test_no_approver_is_asked_too_late_unless_the_run_sends_late(computed):
    assert ask(computed, at=timedelta(days=30)).note.startswith("The window ended 2026-11-09, too long ago")
    assert ask(computed, at=timedelta(days=30), send_late=True).messages == {"BOOST": 1, "REWARD": 1}


def test_no_approver_is_asked_about_an_empty_list(world):
    world.customer(opted_out_at=world.now)
    world.sessions(1)
    world.computed(require_approval=True)
    assert ask(world).note == "The list is empty, so there is nothing to approve."
    assert world.message().by_status == {"skipped": 1}


def test_a_list_over_the_cap_is_not_asked_about_and_not_frozen(world, customers):
    world.computed(require_approval=True, max_messages_per_run=1)
    with pytest.raises(TooManyMessages, match="2 messages wait"):
        ask(world)
    assert not found(world).frozen
    assert world.ledger() == {}


def test_no_approver_is_asked_about_a_campaign_that_the_guard_has_stopped(world, customers):
    with pytest.raises(GuardStop):
        world.extract(require_approval=True, guard_max_quiet_days=3)
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    with pytest.raises(GuardStop):
        ask(world)
    assert not found(world).frozen


def test_the_guard_stops_a_campaign_before_message_also_if_no_approval_is_required(world, customers):
    with pytest.raises(GuardStop):
        world.extract(guard_max_quiet_days=3)
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    with pytest.raises(GuardStop):
        ask(world)
    assert ask(world, dry_run=True).messages == {}


def test_no_approver_is_asked_before_there_are_buckets(world, customers):
    with pytest.raises(NotReady):
        ask(world)
    world.extract(require_approval=True)
    with pytest.raises(NotReady):
        ask(world)


# --- no customer is texted before


def test_message_run_alone_sends_nothing_and_leaves_everything_as_it_was(computed):
    before = computed.dump(*TABLES)
    with pytest.raises(NotApproved) as raised:
        computed.message()
    assert str(raised.value) == (
        f"The messages of the window {computed.window} require approval, as engage_require_approval was on when the "
        "campaign was computed. No message was sent. No approval was requested. Trigger a run of this window: its task "
        "approve asks the approver. An answer counts only while the task that asks still waits for it."
    )
    assert computed.dump(*TABLES) == before


def test_message_run_alone_sends_nothing_while_the_list_waits_for_an_answer(computed):
    ask(computed)
    with pytest.raises(NotApproved, match="Approval was requested on 2026-11-10 09:00 UTC"):
        computed.message()
    assert texted(computed) == QUEUED


def test_no_sender_takes_over_a_list_that_is_not_approved(computed):
    ask(computed)
    with pytest.raises(NotApproved):
        send(computed.engine, computed.window, SendingContext(lambda: computed.now))
    assert texted(computed) == QUEUED


def test_a_run_that_sends_nothing_is_not_refused(computed):
    assert computed.message(backfill=True).by_status == {"skipped": 3}
    assert computed.message(dry_run=True).by_status == {"queued": 2, "skipped": 1}


def test_the_steps_run_again_while_the_list_waits_for_an_answer_change_nothing(computed):
    ask(computed)
    before = computed.dump(*TABLES)
    assert computed.extract(low_spend_threshold=0).frozen
    assert aggregate(computed.engine, computed.window).frozen
    assert bucket(computed.engine, computed.window).frozen
    computed.message(backfill=True)
    computed.message(dry_run=True)
    assert computed.dump(*TABLES) == before


# --- the answer


def test_an_approved_list_goes_out_as_it_was(computed):
    ask(computed)
    computed.customer()
    assert answer(computed, approved=True).sentence == "Its messages were approved by ada on 2026-11-10 10:00 UTC."
    assert texted(computed) == QUEUED
    computed.message()
    assert texted(computed) == ACCEPTED


def test_an_approved_list_can_only_shrink(computed, customers):
    ask(computed)
    computed.execute(sa.update(customer).where(customer.c.customer_id == 1).values(opted_out_at=computed.now))
    answer(computed, approved=True)
    computed.message()
    assert computed.ledger()[1] == "skipped/opted_out"
    assert computed.ledger()[2] == "accepted"


def test_a_rejected_list_sends_nothing_and_the_campaign_says_so(computed):
    ask(computed)
    assert answer(computed, approved=False).sentence == "Its messages were rejected by ada on 2026-11-10 10:00 UTC."
    assert texted(computed) == REJECTED
    with pytest.raises(NotApproved, match="rejected by ada on 2026-11-10 10:00 UTC"):
        computed.message()
    assert texted(computed) == REJECTED
    told = report(computed.engine, computed.window)
    assert told.window["approval"] == "Its messages were rejected by ada on 2026-11-10 10:00 UTC."
    assert (told.window["status"], told.messages["skipped_by_reason"]) == ("complete", {"opted_out": 1, "rejected": 2})


def test_a_list_without_an_answer_is_rejected(computed):
    ask(computed)
    assert answer(computed, approved=False, by=None).sentence == (
        "Its messages were rejected on 2026-11-10 10:00 UTC: no answer came in time."
    )
    assert texted(computed) == REJECTED


def test_a_rejected_campaign_is_computed_anew_and_asked_about_anew(computed):
    ask(computed)
    answer(computed, approved=False)
    computed.computed(require_approval=True, low_spend_threshold=0)
    assert ask(computed, at=LATER, run_id="another run").messages == {"REWARD": 1}
    answer(computed, approved=True, run_id="another run")
    computed.message()
    assert texted(computed) == {2: "accepted"}


def test_a_rejected_campaign_computed_anew_without_the_setting_goes_out_without_an_approval(computed):
    ask(computed)
    answer(computed, approved=False)
    computed.computed()
    computed.message()
    assert texted(computed) == ACCEPTED
    now = found(computed).approval
    assert (now.state, now.at, now.by, now.sentence) == (None, None, None, "")


def test_a_run_asks_about_one_list_as_airflow_would_show_the_first_question_again(computed):
    ask(computed)
    answer(computed, approved=False)
    computed.computed(require_approval=True, low_spend_threshold=0)
    before = computed.dump(*TABLES)
    with pytest.raises(NotApproved, match=r"This run has asked about an earlier list of the window .* a new run"):
        ask(computed, at=LATER)
    assert computed.dump(*TABLES) == before


def test_a_run_that_was_refused_before_does_not_ask_about_the_list_of_another(computed):
    ask(computed)
    answer(computed, approved=False)
    computed.computed(require_approval=True)
    ask(computed, at=LATER, run_id="another run")
    with pytest.raises(NotApproved, match="This run has asked about an earlier list"):
        ask(computed, at=2 * LATER)
    with pytest.raises(NotApproved, match="This run has asked about an earlier list"):
        answer(computed, approved=True)
    assert found(computed).approval.state == "requested"
    answer(computed, approved=True, run_id="another run")


def test_two_runs_ask_about_the_same_list_while_there_is_no_answer(computed):
    first = ask(computed)
    assert ask(computed, at=LATER, run_id="another run") == first
    again = ask(computed, at=2 * LATER)
    assert again == first == ask(computed, at=2 * LATER, run_id="another run")


@pytest.mark.parametrize(
    ("at", "options"),
    [(LATER, {"backfill": True}), (LATER, {"dry_run": True}), (timedelta(days=30), {})],
    ids=["backfill", "dry run", "too late"],
)
def test_a_run_that_has_asked_and_sends_nothing_now_is_not_refused(computed, at, options):
    ask(computed)
    answer(computed, approved=False)
    computed.computed(require_approval=True)
    assert ask(computed, at=at, **options).messages == {}


@pytest.mark.parametrize("options", [{"backfill": True}, {"dry_run": True}], ids=["backfill", "dry run"])
def test_nor_while_the_list_of_another_run_waits_for_an_answer(computed, options):
    ask(computed)
    answer(computed, approved=False)
    computed.computed(require_approval=True)
    ask(computed, at=LATER, run_id="another run")
    assert ask(computed, at=2 * LATER, **options).messages == {}


def test_a_rejected_campaign_whose_events_are_gone_refuses_nothing(computed):
    ask(computed)
    answer(computed, approved=False)
    with computed.engine.begin() as conn:
        campaign.close(conn, computed.window, computed.now + timedelta(days=800))
    assert ask(computed, at=timedelta(days=801), send_late=True).note.startswith("The list is empty")


def test_a_run_that_asked_before_questions_were_recorded_asks_about_one_list_too(computed):
    ask(computed)
    computed.execute(sa.text("UPDATE campaign SET asked = '{}'"))
    answer(computed, approved=False)
    computed.computed(require_approval=True, low_spend_threshold=0)
    with pytest.raises(NotApproved, match="This run has asked about an earlier list"):
        ask(computed, at=LATER)


def test_a_backfill_of_a_rejected_campaign_keeps_what_was_answered(computed):
    ask(computed)
    answer(computed, approved=False)
    computed.message(backfill=True)
    assert found(computed).approval.state == "rejected"


@pytest.mark.parametrize("approved", [True, False])
def test_answered_twice_is_answered_once(computed, approved):
    ask(computed)
    first = answer(computed, approved=approved)
    before = computed.dump(*TABLES)
    assert answer(computed, approved=approved, by="bob").sentence == first.sentence
    assert computed.dump(*TABLES) == before


@pytest.mark.parametrize("approved", [True, False])
def test_the_other_answer_comes_too_late(computed, approved):
    ask(computed)
    answer(computed, approved=approved)
    before = computed.dump(*TABLES)
    with pytest.raises(NotApproved, match=r"cannot be \w+\. Its messages were \w+ by ada"):
        answer(computed, approved=not approved, by="bob")
    assert computed.dump(*TABLES) == before


@pytest.mark.parametrize("approved", [True, False])
def test_a_question_whose_time_is_up_leaves_the_answer_to_another_runs_question(computed, approved):
    for run_id in ("a run", "another run"):
        ask(computed, run_id=run_id)
    given = answer(computed, approved=approved, run_id="another run")
    before = computed.dump(*TABLES)
    assert answer(computed, approved=False, by=None).sentence == given.sentence
    assert computed.dump(*TABLES) == before


def test_a_list_waits_while_another_runs_question_about_it_is_open(computed):
    ask(computed, run_id="a run")
    ask(computed, at=timedelta(hours=40), run_id="another run")
    up = timedelta(hours=48)
    assert "requested" in answer(computed, at=up, approved=False, by=None).sentence
    assert computed.value("SELECT count(*) FROM alert WHERE kind = 'approval_timed_out'") == 0
    approved = answer(computed, at=up, approved=True, run_id="another run")
    assert "approved by ada" in approved.sentence


def test_a_list_is_rejected_once_the_time_of_all_questions_is_up(computed):
    ask(computed, run_id="a run")
    ask(computed, at=timedelta(hours=40), run_id="another run")
    answer(computed, at=timedelta(hours=48), approved=False, by=None)
    given = answer(computed, at=timedelta(hours=88), approved=False, by=None, run_id="another run")
    assert "no answer came in time" in given.sentence
    assert texted(computed) == REJECTED


def test_after_a_task_marked_by_hand_a_new_run_asks_about_the_list_as_the_sentence_says(computed):
    ask(computed, run_id="marked by hand")
    with pytest.raises(NotApproved, match=r"Trigger a run of this window: its task approve asks the approver\."):
        computed.message()
    assert ask(computed, run_id="a new run").messages == {"BOOST": 1, "REWARD": 1}
    answer(computed, approved=True, run_id="a new run")
    computed.message()
    assert texted(computed) == ACCEPTED


@pytest.mark.parametrize("approved", [True, False])
def test_an_answer_without_a_question_is_refused(computed, approved):
    with pytest.raises(NotApproved, match="No approval was requested"):
        answer(computed, approved=approved)
    assert not found(computed).frozen


def test_no_approver_is_asked_again_about_an_approved_list(computed):
    ask(computed)
    answer(computed, approved=True)
    again = ask(computed)
    assert (again.messages, again.note) == ({}, "Its messages were approved by ada on 2026-11-10 10:00 UTC.")
    assert texted(computed) == QUEUED


def test_an_approval_that_comes_too_late_sends_nothing_until_a_run_sends_late(computed):
    ask(computed)
    answer(computed, approved=True)
    much_later = replace(computed, now=computed.now + timedelta(days=30))
    with pytest.raises(TooLate, match="2 messages of the window"):
        much_later.message()
    much_later.message(send_late=True)
    assert texted(computed) == ACCEPTED


def test_a_halted_campaign_waits_though_it_is_approved(computed):
    ask(computed)
    answer(computed, approved=True)
    with computed.engine.begin() as conn:
        campaign.halt(conn, computed.window, by="ada", why="wait", as_of=computed.now)
    assert message(
        computed.engine, computed.window, options=RunOptions(), context=SendingContext(lambda: computed.now)
    ).halted
    assert texted(computed) == QUEUED
