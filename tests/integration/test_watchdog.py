"""The watchdog: a window that no run texts, and a campaign that cannot move on, are reported once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import campaign, watchdog
from engage.campaigns.run_options import RunOptions
from engage.sending import queue, takeover
from engage.settings import Settings
from engage.storage.schema import message
from engage.window import Window


def problems(world):
    return [finding.problem for finding in watchdog.watch(world.engine, Settings(), as_of=world.now)]


def mailed(world):
    """Mail the alerts that wait; returns them."""
    mails = []
    alert_outbox.deliver(world.engine, mails.append, lambda: world.now)
    return mails


def queued(world, customers=3, **settings):
    for _ in range(customers):
        world.purchase(world.customer(), 100)
    world.computed(**settings)
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)


def test_a_window_that_no_run_has_computed_is_reported_once_with_the_way_out(world):
    world.customer()
    assert problems(world) == problems(world) == ["No run has computed its campaign."]
    world.now += timedelta(hours=2)
    [mail] = mailed(world)
    assert mail.window == world.window
    assert f"Trigger a run with window_start {world.window.start:%Y-%m-%d}." in mail.alert.advice
    problems(world)
    world.now += timedelta(hours=2)
    assert mailed(world) == []


def test_a_window_whose_run_starts_together_with_the_watch_raises_no_alarm(world):
    world.purchase(world.customer(), 100)
    assert problems(world) == ["No run has computed its campaign."]
    assert mailed(world) == []
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    world.now += timedelta(hours=1)
    assert mailed(world) == []
    world.message()
    assert problems(world) == []
    world.now += timedelta(days=1)
    assert mailed(world) == []


def test_a_run_between_two_steps_at_the_full_hour_raises_no_alarm(world):
    world.purchase(world.customer(), 100)
    world.computed()
    assert problems(world) == ["Its run stopped when the campaign was bucketed."]
    world.message()
    world.now += timedelta(hours=1)
    assert problems(world) == []
    world.now += timedelta(hours=1)
    assert mailed(world) == []


def test_a_dry_run_of_the_due_window_is_named_as_such(world):
    world.purchase(world.customer(), 100)
    world.computed()
    world.message(dry_run=True)
    assert problems(world) == ["Only a dry run has computed its campaign."]


def test_a_problem_that_comes_again_waits_for_a_second_look_again(world):
    world.purchase(world.customer(), 100)
    world.computed()
    problems(world)
    world.execute(sa.text("UPDATE campaign SET status = 'complete'"))
    world.now += timedelta(hours=1)
    assert problems(world) == []
    world.execute(sa.text("UPDATE campaign SET status = 'bucketed'"))
    world.now += timedelta(hours=1)
    assert len(problems(world)) == 1
    assert mailed(world) == []
    world.now += timedelta(hours=2)
    assert len(mailed(world)) == 1


def test_a_problem_that_lasts_is_mailed_though_its_alert_had_expired_without_an_address(world):
    world.purchase(world.customer(), 100)
    queued(world)
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    for _ in range(20):
        world.now += timedelta(days=1)
        assert len(problems(world)) == 1
    world.now += timedelta(hours=2)
    assert len(mailed(world)) == 1


def test_what_was_mailed_stays_in_the_outbox_when_the_problem_is_over(world):
    world.purchase(world.customer(), 100)
    problems(world)
    world.now += timedelta(hours=2)
    assert len(mailed(world)) == 1
    world.computed()
    world.message()
    assert problems(world) == []
    assert world.value("SELECT count(*) FROM alert WHERE mailed_at IS NOT NULL") == 1


@pytest.mark.parametrize(("hours", "due"), [(12.9, False), (13, True)])
def test_a_window_is_due_an_hour_after_its_run_should_have_started(world, hours, due):
    world.customer()
    world.now = world.window.end + timedelta(hours=hours)
    assert bool(problems(world)) == due


def test_a_fresh_installation_without_customers_is_at_rest(world):
    assert problems(world) == []


def test_nothing_is_reported_before_the_first_window_has_ended(world):
    world.customer()
    world.now = Window.containing(world.now).start - timedelta(days=10_000)
    assert problems(world) == []


def test_a_new_installation_is_not_asked_for_the_window_before_it(world):
    world.customer()
    world.now += timedelta(days=8)
    assert problems(world) == []


def test_a_window_that_was_missed_while_nothing_ran_is_reported_until_the_next_one_is_due(world):
    queued(world)
    world.message()
    world.now = world.window.next().end + timedelta(days=8)  # neither its run nor the watchdog came in time
    [finding] = watchdog.watch(world.engine, Settings(), as_of=world.now)
    assert (finding.window, finding.problem) == (world.window.next(), "No run has computed its campaign.")
    assert finding.way_out.endswith(f"window_start {world.window.next().start:%Y-%m-%d} and send_late.")
    world.now = world.window.next().next().end + timedelta(hours=13)
    found = watchdog.watch(world.engine, Settings(), as_of=world.now)
    assert [finding.window for finding in found] == [world.window.next().next()]


def test_a_campaign_that_has_texted_its_customers_is_in_order(world):
    queued(world)
    world.message()
    assert problems(world) == []


def test_a_backfill_in_place_of_the_windows_own_run_is_reported(world):
    world.purchase(world.customer(), 100)
    world.computed()
    world.message(backfill=True)
    assert problems(world) == ["Its run texted none of 1 customers, as it was a backfill or came too late."]


def test_a_scheduled_run_that_came_too_late_is_reported_until_the_next_window_is_due(world):
    world.purchase(world.customer(), 100)
    world.now = world.window.end + timedelta(days=8)
    world.computed()
    world.message()
    assert set(world.ledger().values()) == {"skipped/too_late"}
    [finding] = watchdog.watch(world.engine, Settings(), as_of=world.now)
    assert finding.problem == "Its run texted none of 1 customers, as it was a backfill or came too late."
    assert finding.way_out.endswith("and send_late.")
    world.now = world.window.next().end + timedelta(hours=13)
    found = watchdog.watch(world.engine, Settings(), as_of=world.now)
    assert [finding.window for finding in found] == [world.window.next()]


def test_a_late_backfill_texts_no_customer_and_is_in_order(world):
    world.purchase(world.customer(), 100)
    world.now += timedelta(days=8)
    world.computed()
    world.message(backfill=True)
    assert problems(world) == []


def test_a_campaign_whose_run_stopped_between_two_steps_is_reported(world):
    world.purchase(world.customer(), 100)
    world.computed()
    assert problems(world) == ["Its run stopped when the campaign was bucketed."]


def test_a_half_sent_campaign_without_a_sender_is_reported(world):
    queued(world)
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    assert problems(world) == []
    world.now += timedelta(minutes=31)
    assert problems(world) == ["Of its messages 3 wait, and no sender is at work."]


def test_a_sender_that_waits_for_the_morning_is_not_taken_for_a_lost_one(world):
    queued(world)
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    with world.engine.begin() as conn:
        campaign.update(conn, world.window, resume_at=world.now + timedelta(hours=9))
    world.now += timedelta(hours=9)
    assert problems(world) == []
    world.now += timedelta(minutes=31)
    assert len(problems(world)) == 1


def test_a_sender_that_took_over_before_the_morning_and_was_lost_is_reported(world):
    queued(world)
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    with world.engine.begin() as conn:
        campaign.update(conn, world.window, resume_at=world.now + timedelta(hours=9))
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    world.now += timedelta(minutes=31)
    assert problems(world) == ["Of its messages 3 wait, and no sender is at work."]


def test_a_half_sent_campaign_is_reported_also_when_it_is_late_and_how_it_goes_on(world):
    queued(world)
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    world.now += timedelta(days=100)
    [*_, finding] = watchdog.watch(world.engine, Settings(), as_of=world.now)
    assert finding.window == world.window
    assert finding.way_out.endswith(f"window_start {world.window.start:%Y-%m-%d} and send_late.")


def test_an_approval_whose_hours_have_passed_is_reported(world):
    world.purchase(world.customer(), 100)
    world.computed(require_approval=True)
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now, for_approval=True)
    world.now += timedelta(hours=48.5)
    assert problems(world) == []
    world.now += timedelta(hours=1)
    [finding] = watchdog.watch(world.engine, Settings(), as_of=world.now)
    assert finding.problem == "Its list still waits for an approval, though 48 hours have passed."
    assert finding.way_out == f"Trigger a run with window_start {world.window.start:%Y-%m-%d}: it asks again."


def test_a_halt_that_may_be_forgotten_is_reported_once_for_each_halt(world):
    queued(world)
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    for halts in (1, 2):
        with world.engine.begin() as conn:
            campaign.resume(conn, world.window, as_of=world.now)
            campaign.halt(conn, world.window, by="ada", why="a typo", as_of=world.now)
        world.now += timedelta(hours=25)
        for _ in range(2):
            assert problems(world) == ["It is halted, and messages wait."]
            world.now += timedelta(hours=2)
        assert len(mailed(world)) == 1
        assert world.value("SELECT count(*) FROM alert") == halts


def test_a_campaign_whose_messages_are_all_settled_is_in_order(world):
    queued(world)
    takeover.take_over(world.engine, world.window, lambda name: object(), world.now)
    world.execute(sa.update(message).values(status="skipped", reason="erased"))
    world.now += timedelta(hours=2)
    assert problems(world) == []
