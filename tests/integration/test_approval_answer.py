"""Approval: the approved list is the one that goes out, and each question is answered once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.errors import NotApproved, TooLate
from engage.reports.report import report
from engage.sending.sender import SendingContext
from engage.steps.message import message
from engage.storage.schema import customer
from tests.integration.approvals import ACCEPTED, LATER, QUEUED, REJECTED, TABLES, answer, ask, found, texted


def test_an_approved_list_goes_out_as_it_was(unapproved):
    ask(unapproved)
    unapproved.customer()
    assert answer(unapproved, approved=True).sentence == "Its messages were approved by ada on 2026-11-10 10:00 UTC."
    assert texted(unapproved) == QUEUED
    unapproved.message()
    assert texted(unapproved) == ACCEPTED


def test_an_approved_list_can_only_shrink(unapproved, recipients):
    ask(unapproved)
    unapproved.execute(sa.update(customer).where(customer.c.customer_id == 1).values(opted_out_at=unapproved.now))
    answer(unapproved, approved=True)
    unapproved.message()
    assert unapproved.ledger()[1] == "skipped/opted_out"
    assert unapproved.ledger()[2] == "accepted"


def test_a_rejected_list_sends_nothing_and_the_campaign_says_so(unapproved):
    ask(unapproved)
    assert answer(unapproved, approved=False).sentence == "Its messages were rejected by ada on 2026-11-10 10:00 UTC."
    assert texted(unapproved) == REJECTED
    with pytest.raises(NotApproved, match="rejected by ada on 2026-11-10 10:00 UTC"):
        unapproved.message()
    assert texted(unapproved) == REJECTED
    told = report(unapproved.engine, unapproved.window)
    assert told.window["approval"] == "Its messages were rejected by ada on 2026-11-10 10:00 UTC."
    assert (told.window["status"], told.messages["skipped_by_reason"]) == ("complete", {"opted_out": 1, "rejected": 2})


def test_a_list_without_an_answer_is_rejected(unapproved):
    ask(unapproved)
    assert answer(unapproved, approved=False, by=None).sentence == (
        "Its messages were rejected on 2026-11-10 10:00 UTC: no answer came in time."
    )
    assert texted(unapproved) == REJECTED


def test_a_rejected_campaign_is_computed_anew_and_asked_about_anew(unapproved):
    ask(unapproved)
    answer(unapproved, approved=False)
    unapproved.computed(require_approval=True, low_spend_threshold=0)
    assert ask(unapproved, at=LATER, run_id="another run").messages == {"REWARD": 1}
    answer(unapproved, approved=True, run_id="another run")
    unapproved.message()
    assert texted(unapproved) == {2: "accepted"}


def test_a_rejected_campaign_computed_anew_without_the_setting_goes_out_without_an_approval(unapproved):
    ask(unapproved)
    answer(unapproved, approved=False)
    unapproved.computed()
    unapproved.message()
    assert texted(unapproved) == ACCEPTED
    now = found(unapproved).approval
    assert (now.state, now.at, now.by, now.sentence) == (None, None, None, "")


def test_a_run_asks_about_one_list_as_airflow_would_show_the_first_question_again(unapproved):
    ask(unapproved)
    answer(unapproved, approved=False)
    unapproved.computed(require_approval=True, low_spend_threshold=0)
    before = unapproved.dump(*TABLES)
    with pytest.raises(NotApproved, match=r"This run has asked about an earlier list of the window .* a new run"):
        ask(unapproved, at=LATER)
    assert unapproved.dump(*TABLES) == before


def test_a_run_that_was_refused_before_does_not_ask_about_the_list_of_another(unapproved):
    ask(unapproved)
    answer(unapproved, approved=False)
    unapproved.computed(require_approval=True)
    ask(unapproved, at=LATER, run_id="another run")
    with pytest.raises(NotApproved, match="This run has asked about an earlier list"):
        ask(unapproved, at=2 * LATER)
    with pytest.raises(NotApproved, match="This run has asked about an earlier list"):
        answer(unapproved, approved=True)
    assert found(unapproved).approval.state == "requested"
    answer(unapproved, approved=True, run_id="another run")


def test_two_runs_ask_about_the_same_list_while_there_is_no_answer(unapproved):
    first = ask(unapproved)
    assert ask(unapproved, at=LATER, run_id="another run") == first
    again = ask(unapproved, at=2 * LATER)
    assert again == first == ask(unapproved, at=2 * LATER, run_id="another run")


@pytest.mark.parametrize(
    ("at", "options"),
    [(LATER, {"backfill": True}), (LATER, {"dry_run": True}), (timedelta(days=30), {})],
    ids=["backfill", "dry run", "too late"],
)
def test_a_run_that_has_asked_and_sends_nothing_now_is_not_refused(unapproved, at, options):
    ask(unapproved)
    answer(unapproved, approved=False)
    unapproved.computed(require_approval=True)
    assert ask(unapproved, at=at, **options).messages == {}


@pytest.mark.parametrize("options", [{"backfill": True}, {"dry_run": True}], ids=["backfill", "dry run"])
def test_nor_while_the_list_of_another_run_waits_for_an_answer(unapproved, options):
    ask(unapproved)
    answer(unapproved, approved=False)
    unapproved.computed(require_approval=True)
    ask(unapproved, at=LATER, run_id="another run")
    assert ask(unapproved, at=2 * LATER, **options).messages == {}


def test_a_rejected_campaign_whose_events_are_gone_refuses_nothing(unapproved):
    ask(unapproved)
    answer(unapproved, approved=False)
    with unapproved.engine.begin() as conn:
        campaign.close(conn, unapproved.window, unapproved.now + timedelta(days=800))
    assert ask(unapproved, at=timedelta(days=801), send_late=True).note.startswith("The list is empty")


def test_a_run_that_asked_before_questions_were_recorded_asks_about_one_list_too(unapproved):
    ask(unapproved)
    unapproved.execute(sa.text("UPDATE campaign SET asked = '{}'"))
    answer(unapproved, approved=False)
    unapproved.computed(require_approval=True, low_spend_threshold=0)
    with pytest.raises(NotApproved, match="This run has asked about an earlier list"):
        ask(unapproved, at=LATER)


def test_a_backfill_of_a_rejected_campaign_keeps_what_was_answered(unapproved):
    ask(unapproved)
    answer(unapproved, approved=False)
    unapproved.message(backfill=True)
    assert found(unapproved).approval.state == "rejected"


@pytest.mark.parametrize("approved", [True, False])
def test_answered_twice_is_answered_once(unapproved, approved):
    ask(unapproved)
    first = answer(unapproved, approved=approved)
    before = unapproved.dump(*TABLES)
    assert answer(unapproved, approved=approved, by="bob").sentence == first.sentence
    assert unapproved.dump(*TABLES) == before


@pytest.mark.parametrize("approved", [True, False])
def test_the_other_answer_comes_too_late(unapproved, approved):
    ask(unapproved)
    answer(unapproved, approved=approved)
    before = unapproved.dump(*TABLES)
    with pytest.raises(NotApproved, match=r"cannot be \w+\. Its messages were \w+ by ada"):
        answer(unapproved, approved=not approved, by="bob")
    assert unapproved.dump(*TABLES) == before


@pytest.mark.parametrize("approved", [True, False])
def test_a_question_whose_time_is_up_leaves_the_answer_to_another_runs_question(unapproved, approved):
    for run_id in ("a run", "another run"):
        ask(unapproved, run_id=run_id)
    given = answer(unapproved, approved=approved, run_id="another run")
    before = unapproved.dump(*TABLES)
    assert answer(unapproved, approved=False, by=None).sentence == given.sentence
    assert unapproved.dump(*TABLES) == before


def test_a_list_waits_while_another_runs_question_about_it_is_open(unapproved):
    ask(unapproved, run_id="a run")
    ask(unapproved, at=timedelta(hours=40), run_id="another run")
    up = timedelta(hours=48)
    assert "requested" in answer(unapproved, at=up, approved=False, by=None).sentence
    assert unapproved.value("SELECT count(*) FROM alert WHERE kind = 'approval_timed_out'") == 0
    approved = answer(unapproved, at=up, approved=True, run_id="another run")
    assert "approved by ada" in approved.sentence


def test_a_list_is_rejected_once_the_time_of_all_questions_is_up(unapproved):
    ask(unapproved, run_id="a run")
    ask(unapproved, at=timedelta(hours=40), run_id="another run")
    answer(unapproved, at=timedelta(hours=48), approved=False, by=None)
    given = answer(unapproved, at=timedelta(hours=88), approved=False, by=None, run_id="another run")
    assert "no answer came in time" in given.sentence
    assert texted(unapproved) == REJECTED


def test_after_a_task_marked_by_hand_a_new_run_asks_about_the_list_as_the_sentence_says(unapproved):
    ask(unapproved, run_id="marked by hand")
    with pytest.raises(NotApproved, match=r"Trigger a run of this window: its task approve asks the approver\."):
        unapproved.message()
    assert ask(unapproved, run_id="a new run").messages == {"BOOST": 1, "REWARD": 1}
    answer(unapproved, approved=True, run_id="a new run")
    unapproved.message()
    assert texted(unapproved) == ACCEPTED


@pytest.mark.parametrize("approved", [True, False])
def test_an_answer_without_a_question_is_refused(unapproved, approved):
    with pytest.raises(NotApproved, match="No approval was requested"):
        answer(unapproved, approved=approved)
    assert not found(unapproved).frozen


def test_no_approver_is_asked_again_about_an_approved_list(unapproved):
    ask(unapproved)
    answer(unapproved, approved=True)
    again = ask(unapproved)
    assert (again.messages, again.note) == ({}, "Its messages were approved by ada on 2026-11-10 10:00 UTC.")
    assert texted(unapproved) == QUEUED


def test_an_approval_that_comes_too_late_sends_nothing_until_a_run_sends_late(unapproved):
    ask(unapproved)
    answer(unapproved, approved=True)
    much_later = replace(unapproved, now=unapproved.now + timedelta(days=30))
    with pytest.raises(TooLate, match="2 messages of the window"):
        much_later.message()
    much_later.message(send_late=True)
    assert texted(unapproved) == ACCEPTED


def test_a_halted_campaign_waits_though_it_is_approved(unapproved):
    ask(unapproved)
    answer(unapproved, approved=True)
    with unapproved.engine.begin() as conn:
        campaign.halt(conn, unapproved.window, by="ada", why="wait", as_of=unapproved.now)
    assert message(
        unapproved.engine, unapproved.window, options=RunOptions(), context=SendingContext(lambda: unapproved.now)
    ).halted
    assert texted(unapproved) == QUEUED
