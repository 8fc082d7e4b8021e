import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from engage import sender
from engage.errors import Superseded
from engage.message import Delivery, queue
from engage.sms import OutgoingSms


@dataclass
class Recorder:
    """A provider that keeps what it was handed, and does something at each message."""

    claim_size: int = 3
    name: str = "recorder"
    handed: list[OutgoingSms] = field(default_factory=list)
    at: dict[int, object] = field(default_factory=dict)

    def send(self, sms):
        self.handed.append(sms)
        if action := self.at.get(len(self.handed)):
            action()
        return f"id-{len(self.handed)}"


@pytest.fixture
def queued(world):
    """Ten queued messages, to customers 1 to 10."""
    for _ in range(10):
        world.purchase(world.customer(), 100)
    world.computed()
    queue(world.engine, world.window, delivery=Delivery(), as_of=world.now)
    return world


def send(world, provider):
    return sender.send(world.engine, world.window, clock=lambda: world.now, provider_named=lambda name: provider)


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
from engage import database, sender
from engage.window import Window

class Crashing:
    name, claim_size, handed = "crashing", 3, 0
    def send(self, sms):
        Crashing.handed += 1
        if Crashing.handed == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"id-{Crashing.handed}"

url, start, now = sys.argv[1:]
window, now = Window(datetime.fromisoformat(start)), datetime.fromisoformat(now)
sender.send(database.connect(url), window, clock=lambda: now, provider_named=lambda name: Crashing())
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
