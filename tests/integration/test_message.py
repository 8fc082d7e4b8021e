import threading
from datetime import timedelta
from time import sleep

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.errors import EngageError, NotReady, TooLate
from engage.sending import queue, sender, takeover
from engage.sending.ledger import Preview
from engage.sending.providers.sandbox import SandboxProvider
from engage.steps.message import message

ACCEPTED = {"accepted": 1}


@pytest.fixture
def ada(world):
    """A customer in BOOST who may be texted."""
    ada = world.customer()
    world.purchase(ada, 100)
    return ada


@pytest.fixture
def ben(world):
    """A customer in REWARD who may be texted."""
    ben = world.customer()
    world.purchase(ben, 10_000)
    world.sessions(ben, 41)
    return ben


def test_boost_and_reward_are_texted_each_with_their_own_text(world, ada, ben):
    world.computed(message_boost="Come back", message_reward="Well done")
    summary = world.message()
    assert summary.by_status == {"accepted": 2}
    assert summary.accepted_now == 2
    rows = world.rows("SELECT customer_id, bucket, body, provider, accepted_at FROM message ORDER BY 1")
    assert rows == [
        (ada, "BOOST", "Come back Reply STOP to opt out.", "sandbox", world.now),
        (ben, "REWARD", "Well done Reply STOP to opt out.", "sandbox", world.now),
    ]
    assert world.value("SELECT count(DISTINCT provider_message_id) FROM message") == 2


def test_no_customer_in_none_has_a_message(world, ada):
    neither = world.customer()
    world.purchase(neither, 10_000)
    world.computed()
    world.message()
    assert world.ledger() == {ada: "accepted"}


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ({"opted_out_at": sa.func.now()}, "opted_out"),
        ({"consent_at": None}, "no_consent"),
        ({"phone": None}, "no_phone"),
        ({"phone": None, "consent_at": None, "opted_out_at": sa.func.now()}, "opted_out"),
    ],
)
def test_who_may_not_be_texted_has_a_row_with_the_reason(world, ada, who, reason):
    other = world.customer(**who)
    world.computed()
    summary = world.message()
    assert world.ledger() == {ada: "accepted", other: f"skipped/{reason}"}
    assert summary.skipped_by_reason == {reason: 1}


def test_of_customers_with_one_phone_the_lowest_id_that_may_be_texted_is(world):
    phone = "+999000000042"
    no_consent = world.customer(phone=phone, consent_at=None)
    first, second, third = (world.customer(phone=phone) for _ in range(3))
    world.sessions(first)
    world.computed()
    world.message()
    assert world.ledger() == {
        no_consent: "skipped/no_consent",
        first: "accepted",
        second: "skipped/duplicate_phone",
        third: "skipped/duplicate_phone",
    }


def test_an_opt_out_belongs_to_the_phone(world, ada):
    phone = "+999000000042"
    opted_out = world.customer(phone=phone, opted_out_at=world.window.start)
    same_phone = world.customer(phone=phone)
    world.computed()
    world.message()
    assert world.ledger() == {ada: "accepted", opted_out: "skipped/opted_out", same_phone: "skipped/opted_out"}


def test_customers_without_a_phone_are_no_duplicates_of_each_other(world, ada):
    others = [world.customer(phone=None) for _ in range(2)]
    world.computed()
    world.message()
    assert {world.ledger()[other] for other in others} == {"skipped/no_phone"}


def test_running_again_sends_nothing_again(world, ada, ben):
    world.computed()
    world.message()
    before = world.dump("message", "campaign")
    summary = world.message()
    assert (summary.accepted_now, summary.frozen) == (0, True)
    assert world.dump("message", "campaign") == before


def test_running_the_whole_campaign_again_changes_nothing(world, ada, ben):
    world.computed()
    world.message()
    before = world.dump("message", "campaign", "customer_bucket", "customer_activity")
    world.computed(low_spend_threshold="1000", message_boost="Other")
    world.message(send_late=True)
    assert world.dump("message", "campaign", "customer_bucket", "customer_activity") == before


def test_a_late_window_is_recorded_and_not_sent(world, ada):
    world.now = world.window.end + timedelta(days=7, microseconds=1)
    world.computed()
    summary = world.message()
    assert world.ledger() == {ada: "skipped/too_late"}
    assert "send_late" in summary.note
    assert world.value("SELECT frozen_at FROM campaign") is None


def test_a_late_window_may_be_sent_by_a_run_that_says_so(world, ada):
    world.now = world.window.end + timedelta(days=30)
    world.computed()
    world.message()
    assert world.message(send_late=True).by_status == ACCEPTED


def test_the_days_to_send_within_are_a_setting(world, ada):
    world.now = world.window.end + timedelta(days=30)
    world.computed(send_within_days="30")
    assert world.message().by_status == ACCEPTED


def test_a_late_window_says_first_who_may_not_be_texted_anyway(world, ada):
    other = world.customer(opted_out_at=world.window.start)
    world.now = world.window.end + timedelta(days=30)
    world.computed()
    world.message()
    assert world.ledger() == {ada: "skipped/too_late", other: "skipped/opted_out"}


@pytest.fixture
def left_waiting(world, ada, ben):
    """A campaign that has begun to be sent, with Ada's message still waiting, of a window that is too long over now."""
    world.computed()
    world.message()
    world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    world.execute(sa.text(f"UPDATE message SET status = 'queued' WHERE customer_id = {ada}"))
    world.execute(sa.text("UPDATE campaign SET status = 'sending', finished_at = null"))
    world.now = world.window.end + timedelta(days=8)
    return world


def test_a_run_that_comes_too_late_for_what_still_waits_fails_and_says_how_to_send_it(left_waiting, ada, ben):
    with pytest.raises(TooLate, match=r"1 message .* still waits .* \(7\) allows.* has sent none.* send_late"):
        left_waiting.message()
    assert left_waiting.ledger() == {ada: "queued", ben: "accepted"}
    assert left_waiting.message(send_late=True).by_status == {"accepted": 2}
    assert "send_late" in left_waiting.message().note


@pytest.mark.parametrize("options", [{"backfill": True}, {"dry_run": True}])
def test_a_run_that_would_not_send_anyway_is_not_failed_by_what_still_waits(left_waiting, ada, ben, options):
    assert left_waiting.message(**options).note
    assert left_waiting.ledger() == {ada: "queued", ben: "accepted"}


def test_a_run_that_comes_too_late_lists_what_a_dead_sender_left(left_waiting, ada, ben):
    left_waiting.execute(sa.text(f"UPDATE message SET status = 'sending' WHERE customer_id = {ben}"))
    with pytest.raises(TooLate):
        left_waiting.message()
    assert left_waiting.ledger() == {ada: "queued", ben: "unknown"}
    left_waiting.execute(sa.text(f"UPDATE message SET status = 'sending' WHERE customer_id = {ada}"))
    assert left_waiting.message().by_status == {"unknown": 2}


def test_a_personal_text_without_the_numbers_it_speaks_of_is_skipped(world, ada, ben):
    world.computed(message_boost="You spent {{ total_spend }}")
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    world.execute(sa.text(f"DELETE FROM customer_activity WHERE customer_id = {ada}"))
    sender.send(world.engine, world.window, sender.SendingContext(lambda: world.now))
    assert world.ledger() == {ada: "skipped/no_bucket", ben: "accepted"}


@pytest.mark.parametrize("send_late", [False, True])
def test_a_backfill_never_texts_whatever_it_says(world, ada, send_late):
    world.computed()
    summary = world.message(backfill=True, send_late=send_late)
    assert world.ledger() == {ada: "skipped/backfill"}
    assert "A backfill run sends no messages" in summary.note


def test_a_backfill_does_not_send_what_another_run_has_left_in_the_queue(world, ada, ben):
    world.computed()
    world.message()
    world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    world.execute(sa.text("UPDATE message SET status = 'queued', provider_message_id = null WHERE customer_id = 1"))
    summary = world.message(backfill=True)
    assert world.ledger() == {ada: "queued", ben: "accepted"}
    assert summary.frozen
    assert world.message().by_status == {"accepted": 2}


def test_a_backfilled_campaign_may_be_sent_by_a_later_run(world, ada):
    world.computed()
    world.message(backfill=True)
    assert world.message().by_status == ACCEPTED


def test_a_dry_run_counts_and_records_nothing(world, ada):
    world.customer(phone=None)
    world.computed()
    summary = world.message(dry_run=True)
    assert summary.by_status == {"queued": 1, "skipped": 1}
    assert world.ledger() == {}
    assert world.value("SELECT frozen_at FROM campaign") is None


def test_a_dry_run_says_what_a_run_would_have_queued(world, ada, ben):
    world.customer(phone=None)
    world.computed(message_boost="Come back", message_reward="Hi {{ name }}, " + "well done! " * 20)
    summary = world.message(dry_run=True)
    assert summary.preview == Preview({"BOOST": 1, "REWARD": 1}, {"BOOST": 1, "REWARD": 2})
    assert summary.skipped_by_reason == {"no_phone": 1}
    run = world.message()
    assert run.by_status == {"accepted": 2, "skipped": 1}
    assert (run.preview, run.segments) == (None, 3)


def test_a_dry_run_of_a_late_window_would_have_queued_nothing(world, ada):
    world.computed()
    world.now += timedelta(days=30)
    summary = world.message(dry_run=True)
    assert (summary.preview, summary.skipped_by_reason) == (Preview({}, {}), {"too_late": 1})
    assert world.message(dry_run=True, send_late=True).preview == Preview({"BOOST": 1}, {"BOOST": 1})


def test_a_dry_run_after_messages_went_out_changes_nothing(world, ada):
    world.computed()
    world.message()
    before = world.dump("message", "campaign")
    summary = world.message(dry_run=True)
    assert (summary.by_status, summary.preview) == (ACCEPTED, None)
    assert world.dump("message", "campaign") == before


def test_an_open_campaign_is_queued_anew_with_its_new_buckets(world, ada, ben):
    world.computed()
    world.message(backfill=True)
    world.computed(low_spend_threshold="0", high_activity_threshold="0")
    world.message(backfill=True)
    assert world.ledger() == {ben: "skipped/backfill"}


def test_it_needs_the_buckets_of_this_run(world, ada):
    world.extract()
    with pytest.raises(NotReady, match="bucket step first"):
        world.message()


def test_a_campaign_without_a_customer_to_text_is_complete_and_stays_open(world):
    ada = world.customer(phone=None)
    world.sessions(ada)
    world.computed()
    assert world.message().by_status == {"skipped": 1}
    assert world.rows("SELECT status, frozen_at FROM campaign") == [("complete", None)]


def test_a_customer_is_texted_once_a_window_and_again_in_the_next(world, in_window, ada):
    world.execute(sa.text("UPDATE customer SET registered_at = '2025-01-06'"))
    earlier = in_window(world.window.previous())
    earlier.sessions(ada)
    earlier.computed()
    earlier.message()
    world.computed()
    world.message()
    assert world.ledger() == {ada: "accepted"}
    assert world.value("SELECT count(*) = count(DISTINCT (window_start, customer_id)) FROM message")
    assert earlier.ledger() == {ada: "accepted"}


def test_the_database_refuses_two_messages_to_one_phone(world, ada):
    world.computed()
    world.message()
    with pytest.raises(sa.exc.IntegrityError, match="phone_hash"):
        world.execute(
            sa.text(
                "INSERT INTO message (window_start, customer_id, bucket, status, phone_hash, queued_at) "
                "SELECT window_start, 99, bucket, 'queued', phone_hash, queued_at FROM message"
            )
        )


class Slow(SandboxProvider):
    """A provider that takes a moment for each message."""

    claim_size = 2

    def send(self, sms):
        sleep(0.05)
        return super().send(sms)


def messages_of_two_runs(world, provider):
    """What two tasks of one window that start at the same time return or raise."""
    ended = []
    context = sender.SendingContext(lambda: world.now, lambda name: provider)

    def work():
        try:
            ended.append(message(world.engine, world.window, options=RunOptions(), context=context))
        except EngageError as exc:
            ended.append(exc)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def test_two_tasks_that_send_at_the_same_time_both_succeed(world):
    for _ in range(40):
        world.purchase(world.customer(), 100)
    world.computed(send_concurrency="2")
    ended = messages_of_two_runs(world, Slow())
    assert [type(one).__name__ for one in ended] == ["MessageSummary"] * 2
    assert list(world.ledger().values()) == ["accepted"] * 40


def test_a_sender_that_was_stopped_gives_up_on_one_that_goes_on(world, monkeypatch):
    monkeypatch.setattr(takeover, "PATIENCE", timedelta(seconds=0.1))
    monkeypatch.setattr(takeover, "PACE", timedelta(seconds=0.1))
    for _ in range(40):
        world.purchase(world.customer(), 100)
    world.computed(send_concurrency="1")
    ended = messages_of_two_runs(world, Slow())
    assert sorted(type(one).__name__ for one in ended) == ["MessageSummary", "Superseded"]
