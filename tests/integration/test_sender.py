import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.errors import NotReady, Superseded
from engage.sending import claims, outcomes, queue, sender, takeover
from engage.sending.providers import Outcome, OutgoingSms, Reply
from engage.sending.reconcile import reconcile
from engage.steps.aggregate import aggregate


@dataclass
class Recorder:
    """A provider that keeps what it was handed, and does something at each message."""

    claim_size: int = 3
    name: str = "recorder"
    concurrent: bool = False
    handed: list[OutgoingSms] = field(default_factory=list)
    at: dict[int, object] = field(default_factory=dict)

    def send(self, sms):
        self.handed.append(sms)
        if action := self.at.get(len(self.handed)):
            action()
        return Reply(Outcome.ACCEPTED, f"id-{len(self.handed)}")


@pytest.fixture
def queued(world):
    """Ten queued messages, to customers 1 to 10."""
    for _ in range(10):
        world.purchase(world.customer(), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    return world


def send(world, provider):
    return sender.send(world.engine, world.window, sender.SendingContext(lambda: world.now, lambda name: provider))


def fail():
    raise RuntimeError("the line went dead")


def test_every_queued_message_is_handed_over_once(queued):
    provider = Recorder()
    assert send(queued, provider).by_status == {"accepted": 10}
    assert sorted(sms.phone for sms in provider.handed) == [f"+999{n:09}" for n in range(1, 11)]
    assert queued.value("SELECT status FROM campaign") == "complete"


def test_the_first_claim_freezes_the_campaign(queued):
    assert queued.value("SELECT frozen_at FROM campaign") is None
    send(queued, Recorder())
    assert queued.value("SELECT frozen_at FROM campaign") == queued.now


def test_a_message_is_committed_as_sending_before_it_is_handed_over(queued):
    seen = []
    provider = Recorder()
    provider.at[1] = lambda: seen.append(queued.ledger()[1])
    send(queued, provider)
    assert seen == ["sending"]


def test_a_provider_that_fails_leaves_an_unknown_outcome_and_the_others_go_on(queued):
    provider = Recorder()
    provider.at[4] = fail
    assert send(queued, provider).by_status == {"accepted": 9, "unknown": 1}
    assert queued.rows("SELECT error, provider_message_id FROM message WHERE status = 'unknown'") == [
        ("RuntimeError", None)
    ]


def test_unknown_messages_are_never_sent_again(queued):
    provider = Recorder()
    provider.at[4] = fail
    send(queued, provider)
    send(queued, provider)
    assert len(provider.handed) == 10


def test_a_stop_between_queueing_and_sending_wins(queued):
    queued.execute(sa.text("UPDATE customer SET opted_out_at = now() WHERE customer_id = 5"))
    provider = Recorder()
    send(queued, provider)
    assert queued.ledger()[5] == "skipped/opted_out"
    assert "+999000000005" not in {sms.phone for sms in provider.handed}


def test_a_stop_between_two_claims_wins(queued):
    provider = Recorder()
    provider.at[2] = lambda: queued.execute(sa.text("UPDATE customer SET opted_out_at = now() WHERE customer_id = 9"))
    send(queued, provider)
    assert queued.ledger()[9] == "skipped/opted_out"
    assert len(provider.handed) == 9


def test_a_customer_deleted_after_queueing_is_skipped(queued):
    queued.execute(sa.text("DELETE FROM customer WHERE customer_id = 5"))
    send(queued, Recorder())
    assert queued.ledger()[5] == "skipped/no_customer"


def test_a_customer_whose_phone_changed_after_queueing_is_skipped(queued):
    """The ledger promises one message per phone for the phones it was queued with."""
    take = "UPDATE customer SET (phone, phone_hash) = (SELECT phone, phone_hash FROM customer WHERE customer_id = 1)"
    queued.execute(sa.text(f"{take} WHERE customer_id = 5"))
    provider = Recorder()
    send(queued, provider)
    assert queued.ledger()[5] == "skipped/phone_changed"
    assert len({sms.phone for sms in provider.handed}) == len(provider.handed) == 9


def test_an_opt_out_of_somebody_with_the_same_phone_wins_too(queued):
    copy = "SELECT 99, registered_at, phone, phone_hash, now() FROM customer WHERE customer_id = 5"
    into = "INSERT INTO customer (customer_id, registered_at, phone, phone_hash, opted_out_at)"
    queued.execute(sa.text(f"{into} {copy}"))
    send(queued, Recorder())
    assert queued.ledger()[5] == "skipped/opted_out"


@pytest.mark.parametrize("step", ["extract", "aggregate", "queue as a backfill", "queue as a dry run"])
def test_a_campaign_computed_anew_since_it_was_queued_is_neither_sent_nor_frozen(queued, step):
    if step == "extract":
        queued.extract(low_spend_threshold="120")
    elif step == "aggregate":
        aggregate(queued.engine, queued.window)
    else:
        options = RunOptions(backfill="backfill" in step, dry_run="dry run" in step)
        queue.build(queued.engine, queued.window, options=options, as_of=queued.now)
    provider = Recorder()
    with pytest.raises(NotReady, match="computed anew"):
        send(queued, provider)
    assert provider.handed == []
    assert queued.value("SELECT frozen_at FROM campaign") is None


def test_after_aggregate_has_run_anew_message_wants_the_buckets_anew(queued):
    aggregate(queued.engine, queued.window)
    with pytest.raises(NotReady, match="bucket step first"):
        queued.message()


def test_a_provider_that_cannot_be_made_freezes_nothing(queued):
    def no_credentials(name):
        raise RuntimeError("no credentials")

    with pytest.raises(RuntimeError, match="no credentials"):
        sender.send(queued.engine, queued.window, sender.SendingContext(lambda: queued.now, no_credentials))
    assert queued.value("SELECT frozen_at FROM campaign") is None


def test_a_campaign_halted_before_its_first_message_stays_open(queued):
    queued.execute(sa.text("UPDATE campaign SET halted_at = now()"))
    provider = Recorder()
    assert send(queued, provider).halted
    assert provider.handed == []
    assert queued.value("SELECT frozen_at FROM campaign") is None


def test_a_cancelled_sender_records_what_was_accepted(queued):
    def cancel():
        raise KeyboardInterrupt

    provider = Recorder(claim_size=5)
    provider.at[4] = cancel
    with pytest.raises(KeyboardInterrupt):
        send(queued, provider)
    assert list(queued.ledger().values()).count("accepted") == 3
    assert send(queued, provider).by_status == {"accepted": 9, "unknown": 1}


def test_a_sender_that_is_cancelled_before_it_has_looked_at_answers_records_them(queued, monkeypatch):
    def cancelled(self, answers):
        raise KeyboardInterrupt

    monkeypatch.setattr(sender._Sender, "_record", cancelled)
    with pytest.raises(KeyboardInterrupt):
        send(queued, Recorder(claim_size=5))
    assert sorted(queued.ledger().values()) == ["accepted"] * 5 + ["queued"] * 5


def test_a_halt_stops_within_one_claim_and_the_rest_waits(queued):
    provider = Recorder()
    provider.at[2] = lambda: queued.execute(sa.text("UPDATE campaign SET halted_at = now()"))
    summary = send(queued, provider)
    assert summary.halted
    assert summary.by_status == {"accepted": 3, "queued": 7}
    queued.execute(sa.text("UPDATE campaign SET halted_at = null"))
    assert send(queued, provider).by_status == {"accepted": 10}
    assert len({sms.phone for sms in provider.handed}) == len(provider.handed) == 10


def test_a_superseded_sender_stops_and_its_late_answers_still_count(queued):
    newer = Recorder()
    older = Recorder()
    older.at[2] = lambda: send(queued, newer)
    with pytest.raises(Superseded):
        send(queued, older)
    handed = [sms.phone for sms in older.handed + newer.handed]
    assert len(handed) == len(set(handed)) == 10
    assert set(queued.ledger().values()) == {"accepted"}


def test_senders_side_by_side_hand_over_each_message_once(queued):
    providers = [Recorder(claim_size=1) for _ in range(4)]

    def work(provider):
        with suppress(Superseded):
            send(queued, provider)

    threads = [threading.Thread(target=work, args=[provider]) for provider in providers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handed = [sms.phone for provider in providers for sms in provider.handed]
    assert len(handed) == len(set(handed)) == 10
    assert "queued" not in queued.ledger().values()


CRASHING = """
import os, signal, sys
from datetime import datetime
from engage.sending import sender
from engage.sending.providers import Outcome, Reply
from engage.storage import connection
from engage.window import Window

class Crashing:
    name, claim_size, concurrent, handed = "crashing", 3, False, 0
    def send(self, sms):
        Crashing.handed += 1
        if Crashing.handed == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return Reply(Outcome.ACCEPTED, f"id-{Crashing.handed}")

url, start, now = sys.argv[1:]
window, now = Window(datetime.fromisoformat(start)), datetime.fromisoformat(now)
sender.send(connection.connect(url), window, sender.SendingContext(lambda: now, lambda name: Crashing()))
"""


def test_after_a_crash_the_claimed_messages_are_unknown_and_the_rest_is_sent(queued, url):
    arguments = [url, queued.window.start.isoformat(), queued.now.isoformat()]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    crashed = subprocess.run([sys.executable, "-c", CRASHING, *arguments], env=environment, check=False)
    assert crashed.returncode == -signal.SIGKILL
    provider = Recorder()
    summary = send(queued, provider)
    assert summary.by_status == {"accepted": 7, "unknown": 3}
    assert sorted(sms.phone[-2:] for sms in provider.handed) == ["07", "08", "09", "10"]
    assert queued.value("SELECT count(*) FROM message WHERE status = 'unknown' AND error IS NOT NULL") == 3


# --- what a sender that is gone has left


def claimed(world, ids):
    """A sender that has claimed messages, and is heard of no more unless the test says so."""
    owned = takeover.take_over(world.engine, world.window, lambda name: Recorder(), world.now)
    claims.claim(world.engine, owned, ids, world.now)
    return owned


def test_what_a_dead_sender_left_is_listed_while_the_campaign_is_halted(queued):
    claimed(queued, [1, 2, 3])
    queued.execute(sa.text("UPDATE campaign SET halted_at = now()"))
    summary = send(queued, Recorder())
    assert summary.halted
    assert summary.by_status == {"unknown": 3, "queued": 7}


def test_who_can_make_no_provider_stops_no_living_sender(queued):
    def no_credentials(name):
        raise RuntimeError("no credentials")

    owned = claimed(queued, [1, 2, 3])
    with pytest.raises(RuntimeError, match="no credentials"):
        sender.send(queued.engine, queued.window, sender.SendingContext(lambda: queued.now, no_credentials))
    assert list(queued.ledger().values()).count("sending") == 3
    assert claims.claim(queued.engine, owned, [4], queued.now).rows


WILL_NOT_SEND = [{"backfill": True}, {"dry_run": True}]


@pytest.mark.parametrize("options", WILL_NOT_SEND)
def test_a_run_that_will_not_send_lists_what_no_living_sender_can_still_hold(queued, options):
    claimed(queued, [1, 2, 3])
    queued.now += outcomes.ABANDONED_AFTER
    assert queued.message(**options).by_status == {"sending": 3, "queued": 7}
    queued.now += timedelta(seconds=1)
    assert queued.message(**options).by_status == {"unknown": 3, "queued": 7}


@pytest.mark.parametrize("options", WILL_NOT_SEND)
def test_a_run_that_will_not_send_stops_no_living_sender(queued, options):
    provider = Recorder()
    provider.at[2] = lambda: queued.message(**options)
    assert send(queued, provider).by_status == {"accepted": 10}


def test_a_slow_answer_still_settles_what_was_listed_as_unknown_meanwhile(queued):
    owned = claimed(queued, [1, 2])
    queued.now += outcomes.ABANDONED_AFTER * 2
    assert queued.message(dry_run=True).by_status == {"unknown": 2, "queued": 8}
    answers = [outcomes.Answer(1, Reply(Outcome.ACCEPTED, "id-1")), outcomes.Answer(2, Reply(Outcome.LATER))]
    outcomes.record(queued.engine, owned.window, owned.token, answers, queued.now)
    assert queued.ledger()[1] == "accepted"
    assert queued.ledger()[2] == "failed"  # once listed, a message is not sent again


def test_a_campaign_is_complete_once_the_last_of_what_a_dead_sender_left_is_listed(queued):
    claimed(queued, list(range(1, 11)))
    queued.now += outcomes.ABANDONED_AFTER * 2
    assert queued.message(dry_run=True).by_status == {"unknown": 10}
    assert queued.rows("SELECT status, finished_at FROM campaign") == [("complete", queued.now)]


def test_reconciling_looks_at_what_a_dead_sender_left_as_well(queued):
    def ask():
        done = reconcile(queued.engine, queued.window, lambda name: Recorder(), as_of=queued.now)
        return done.still_unknown

    claimed(queued, [1, 2, 3])
    assert ask() == 0
    queued.now += outcomes.ABANDONED_AFTER * 2
    assert ask() == 3
    assert list(queued.ledger().values()).count("unknown") == 3
    assert queued.value("SELECT sender_token FROM campaign") == 1


def requeue(world):
    """All messages wait again, whatever became of them."""
    with world.engine.begin() as conn:
        conn.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
        conn.execute(sa.text("UPDATE message SET status = 'queued', sender_token = null, provider_message_id = null"))
        conn.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))


def test_a_take_over_and_a_superseded_sender_that_writes_down_its_answers_do_not_wait_for_each_other(world):
    """The one would go through the messages as they lie in the table, the other as they were answered."""
    ids = [world.customer() for _ in range(300)]
    world.sessions(ids[0])
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    answers = [
        outcomes.Answer(customer_id, Reply(Outcome.ACCEPTED, f"id-{customer_id}")) for customer_id in ids[90::-1]
    ]
    for delay in [step / 10_000 for step in range(60)]:
        requeue(world)
        old = claimed(world, ids[:91])
        both = threading.Barrier(2)

        def take_over(both=both):
            both.wait()
            takeover.take_over(world.engine, world.window, lambda name: Recorder(), world.now)

        def write_down(both=both, old=old, delay=delay):
            both.wait()
            time.sleep(delay)
            outcomes.record(world.engine, old.window, old.token, answers, world.now)

        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(take_over), threads.submit(write_down)]:
                done.result()
        assert list(world.ledger().values()).count("accepted") == 91
