"""The promise: however many senders work at once, each customer gets at most one message, and none is lost."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.errors import Superseded
from engage.sending import claims, delivery_receipts, handover, outcomes, takeover
from engage.sending.providers import Outcome, Receipt, Reply
from tests.integration.conftest import KEY
from tests.phones import fictional_phone
from tests.twilio_double import Fault


def test_what_a_sender_only_claimed_is_sent_by_the_next_and_never_by_the_first(texting):
    world = texting.customers(4).queued().world
    first = takeover.take_over(world.engine, world.window, texting.context().provider_named, world.now)
    claims.claim(world.engine, first, [1, 2, 3], world.now)
    assert handover.mark(world.engine, first, [1], world.now) == {1}
    assert handover.mark(world.engine, first, [1], world.now) == set()  # once
    assert texting.send().by_status == {"accepted": 3, "unknown": 1}
    assert texting.texted() == {2: 1, 3: 1, 4: 1}
    assert handover.mark(world.engine, first, [1, 2, 3, 4], world.now) == set()


def test_a_sender_that_has_lost_its_claims_by_age_hands_them_over_no_more(texting):
    world = texting.customers(2).queued().world
    slow = takeover.take_over(world.engine, world.window, texting.context().provider_named, world.now)
    claims.claim(world.engine, slow, [1, 2], world.now)
    world.now += outcomes.ABANDONED_AFTER + timedelta(seconds=1)
    texting.rerun(dry_run=True)
    assert texting.statuses() == {"queued": 2}
    assert handover.mark(world.engine, slow, [1, 2], world.now) == set()


def test_a_database_that_cannot_mark_stops_the_sender_and_every_message_still_waits(texting, monkeypatch):
    def away(*anything):
        raise sa.exc.OperationalError("UPDATE", {}, Exception("the server closed the connection"))

    texting.customers(20).queued(send_concurrency="3")
    with monkeypatch.context() as patched:
        patched.setattr(handover, "mark", away)
        with pytest.raises(sa.exc.OperationalError):
            texting.send()
    assert texting.double.posts == []
    assert texting.statuses() == {"queued": 20}
    assert texting.send().by_status == {"accepted": 20}


def test_two_senders_at_once_text_everybody_once(texting):
    texting.customers(60).queued(send_concurrency="4")
    texting.double.delay = 0.02
    ended = []

    def work():
        try:
            ended.append(texting.send())
        except Superseded as exc:
            ended.append(exc)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(texting.texted().values()) == {1}
    assert texting.statuses()["queued"] == texting.statuses()["sending"] == 0
    assert sum(isinstance(end, Superseded) for end in ended) == 1
    assert texting.listed("accepted") | texting.listed("unknown") == set(range(1, 61))


def test_an_orphan_stops_at_its_next_claim_and_its_answers_still_settle_what_it_had_claimed(texting):
    texting.customers(20).queued(send_concurrency="2")
    held = threading.Event()
    texting.double.fault = lambda post: Fault(delay=4.0) if post.number <= 2 else None
    texting.double.on_post = lambda post: held.set()
    orphan_ended = []

    def orphan():
        try:
            texting.send()
        except Superseded:
            orphan_ended.append(len(texting.double.posts))

    thread = threading.Thread(target=orphan)
    thread.start()
    held.wait(10)
    summary = texting.send()
    assert summary.by_status.get("accepted", 0) < 20  # the orphan's are listed as unknown meanwhile
    thread.join()
    assert orphan_ended == [20]
    assert set(texting.texted().values()) == {1}
    assert texting.statuses() == {"accepted": 20}


def test_writing_an_answer_down_twice_is_the_same_as_once_and_a_receipt_that_came_first_stays(texting):
    texting.customers(2).queued()
    world = texting.world
    owned = takeover.take_over(world.engine, world.window, texting.context().provider_named, world.now)
    claims.claim(world.engine, owned, [1, 2], world.now)
    receipt = Receipt(f"{world.window.key}-2", "id-2", fictional_phone(1), "delivered")
    assert delivery_receipts.apply(world.engine, receipt, hash_key=KEY, as_of=world.now)
    answers = [outcomes.Answer(n, Reply(Outcome.ACCEPTED, f"id-{n}")) for n in (1, 2)]
    outcomes.record(world.engine, owned.window, owned.token, answers, world.now + timedelta(seconds=1))
    before = world.dump("message")
    outcomes.record(world.engine, owned.window, owned.token, answers, world.now + timedelta(seconds=2))
    assert world.dump("message") == before
    assert world.rows("SELECT status, accepted_at - sending_at FROM message ORDER BY customer_id") == [
        ("accepted", timedelta(seconds=1)),
        ("delivered", timedelta(0)),
    ]
