"""A list that only some users may approve, and lists that are too short for an approval."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import approvers
from engage.errors import ApproverRefused, NotApproved
from engage.reports.activity import occurrences
from engage.reports.report import report
from engage.steps import approve
from tests.integration.approvals import ACCEPTED, QUEUED, answer, ask, found, texted

SETTINGS = {"require_approval": True, "approvers": "ada, ben"}


@pytest.fixture
def recipients(world):
    """Two customers who may be texted."""
    world.purchase(world.customer(), 1)
    world.sessions(world.customer(), 60)
    return world


def checked(world, user):
    with world.engine.begin() as conn:
        approvers.passed(conn, found(world), user)


def changes(world):
    with world.engine.begin() as conn:
        return approvers.changes(conn, found(world))


def earlier(world, *, by="ada", approval="approved", hours=24, **settings):
    """A campaign of the window before, with an answer, whose settings differ from this one's by ``settings``."""
    mine = found(world).require_settings().snapshot() | settings
    world.execute(
        sa.text(
            "INSERT INTO campaign (window_start, window_end, status, settings, events, rejected, opened_at, "
            "settings_at, approval, approval_at, approval_by) VALUES (:start, :end, 'complete', :settings, '{}', '{}', "
            ":at, :at, :approval, :at, :by)"
        ).bindparams(
            sa.bindparam("settings", mine, sa.JSON),
            start=world.window.previous().start,
            end=world.window.start,
            at=world.now - timedelta(hours=hours),
            approval=approval,
            by=by,
        )
    )


# --- the answer


def test_an_approval_counts_only_once_the_api_server_has_checked_its_user(recipients):
    recipients.computed(**SETTINGS)
    ask(recipients)
    with pytest.raises(ApproverRefused, match="The approval by ada has not passed the check of approvers"):
        answer(recipients, approved=True, by="ada")
    assert found(recipients).approval.state == "requested"
    assert texted(recipients) == QUEUED
    checked(recipients, "ben")
    with pytest.raises(ApproverRefused):
        answer(recipients, approved=True, by="ada")
    checked(recipients, "ada")
    assert answer(recipients, approved=True, by="ada").by == "ada"
    assert answer(recipients, approved=True, by="ada").by == "ada"  # again, and nothing changes
    recipients.message()
    assert texted(recipients) == ACCEPTED


def test_an_approval_by_no_known_user_does_not_count(recipients):
    """Airflow's own processes may answer without a user."""
    recipients.computed(**SETTINGS)
    ask(recipients)
    with pytest.raises(ApproverRefused, match="does not name an unknown user"):
        answer(recipients, approved=True, by=None)


def test_a_user_without_a_name_in_the_setting_cannot_approve_even_if_checked(recipients):
    recipients.computed(**SETTINGS)
    ask(recipients)
    checked(recipients, "dan")
    with pytest.raises(ApproverRefused, match="engage_approvers does not name dan"):
        answer(recipients, approved=True, by="dan")


def test_a_check_is_about_one_list(recipients):
    recipients.computed(**SETTINGS)
    ask(recipients)
    checked(recipients, "ada")
    answer(recipients, approved=False, by="ben")
    recipients.computed(**SETTINGS)
    ask(recipients, at=timedelta(hours=2), run_id="another run")
    with pytest.raises(ApproverRefused):
        answer(recipients, approved=True, by="ada", run_id="another run", at=timedelta(hours=3))


def test_each_run_that_asks_counts_with_four_eyes_also_if_another_made_the_list(recipients):
    recipients.computed(**SETTINGS)
    recipients.execute(sa.text("UPDATE campaign SET triggered_by = 'ada'"))
    ask(recipients)
    ask(recipients, run_id="another run", by="ben")
    for user in ("ada", "ben"):
        checked(recipients, user)
        with pytest.raises(ApproverRefused, match=f"{user} triggered its run"):
            answer(recipients, approved=True, by=user, run_id="another run")
    assert approvers.of(found(recipients)).may == ()


def test_extract_keeps_who_triggered_the_run_and_when_it_read_the_settings(recipients):
    recipients.computed(**SETTINGS)
    assert (found(recipients).triggered_by, found(recipients).settings_at) == (None, recipients.now)


def test_anyone_may_reject_and_the_reason_is_in_the_report_and_the_activity(recipients):
    recipients.computed(**SETTINGS)
    ask(recipients)
    at = recipients.now + timedelta(hours=1)
    approve.answer(
        recipients.engine, recipients.window, approved=False, by="dan", run_id="a run", as_of=at, reason="A typo."
    )
    assert found(recipients).approval.reason == "A typo."
    said = report(recipients.engine, recipients.window).window["approval"]
    assert said == f"Its messages were rejected by dan on {at:%Y-%m-%d %H:%M} UTC: A typo."
    with recipients.engine.begin() as conn:
        assert ("dan", "A typo.") in [(one.user, one.why) for one in occurrences(conn)]
    recipients.computed(**SETTINGS)
    ask(recipients, at=timedelta(hours=2), run_id="another run")
    assert found(recipients).approval.reason is None


def test_the_run_that_waits_for_an_answer_is_found_by_its_id(recipients):
    recipients.computed(**SETTINGS)
    ask(recipients)
    with recipients.engine.begin() as conn:
        assert approvers.asked_by_run(conn, "a run") == found(recipients)
        assert approvers.asked_by_run(conn, "another run") is None
    answer(recipients, approved=False)
    with recipients.engine.begin() as conn:
        assert approvers.asked_by_run(conn, "a run") is None


# --- what was changed


def test_before_any_approval_what_differs_from_the_defaults_is_changed(recipients):
    recipients.computed(low_spend_threshold="120", messages_per_second="5", **SETTINGS)
    assert {"low_spend_threshold", "require_approval", "approvers"} <= set(changes(recipients).settings)
    assert "messages_per_second" not in changes(recipients).settings
    assert changes(recipients).since is None


def test_since_an_approved_list_only_what_differs_from_it_is_changed(recipients):
    recipients.computed(low_spend_threshold="120", **SETTINGS)
    earlier(recipients, message_boost="Hello")
    assert changes(recipients).settings == ("message_boost",)
    assert changes(recipients).since == recipients.now - timedelta(hours=24)
    assert changes(recipients).until == recipients.now


@pytest.mark.parametrize("other", [{"approval": "rejected"}, {"by": None}, {"hours": -1}])
def test_a_list_that_no_user_approved_before_settles_nothing(recipients, other):
    recipients.computed(low_spend_threshold="120", **SETTINGS)
    earlier(recipients, **other)
    assert "low_spend_threshold" in changes(recipients).settings


# --- how long a list must be


def test_a_short_list_needs_no_approval_and_a_longer_one_does(recipients):
    recipients.computed(approval_above=2)
    note = ask(recipients).note
    assert note.startswith("No approval is required: 2 messages wait, engage_approval_above was 2 and ")
    assert not found(recipients).frozen
    recipients.computed(approval_above=1)
    with pytest.raises(NotApproved, match=r"require approval, as engage_approval_above was 1 when"):
        recipients.message()
    assert ask(recipients).messages == {"BOOST": 2}
    assert found(recipients).frozen
    answer(recipients, approved=True)
    recipients.message()
    assert texted(recipients) == ACCEPTED


def test_a_short_list_goes_out_without_an_approval(recipients):
    recipients.computed(approval_above=2)
    ask(recipients)
    recipients.message()
    assert texted(recipients) == ACCEPTED


def test_a_list_that_was_asked_about_needs_the_answer_also_once_it_has_shrunk(recipients):
    recipients.computed(approval_above=1)
    ask(recipients)
    recipients.execute(sa.text("UPDATE message SET status = 'skipped', reason = 'opted_out' WHERE customer_id = 1"))
    with pytest.raises(NotApproved):
        recipients.message()


def test_a_run_outside_airflow_does_not_get_past_the_length(recipients):
    recipients.computed(approval_above=1)
    with pytest.raises(NotApproved, match="requires approval of a list of more than 1 messages, and only Airflow"):
        approve.refuse_to_bypass(recipients.engine, recipients.window)


def test_the_question_says_who_may_approve(recipients):
    recipients.computed(**SETTINGS)
    assert ask(recipients).who_may == (
        "Only ada and ben may approve, and not the user who triggered the run or last changed one of its settings."
    )


def test_the_question_says_what_each_share_became(recipients):
    recipients.computed(**SETTINGS, low_spend_threshold="lowest 50%")
    words = "low_spend_threshold: lowest 50% = below 0.01: 1 customer."
    assert ask(recipients).shares == words
