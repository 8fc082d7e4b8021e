"""The promise: whatever the provider does, each customer gets at most one message, and unknown outcomes are listed."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.errors import ProviderRefuses
from engage.sending import claims, handover, outcomes, takeover
from engage.storage.schema import customer
from engage.texts.phone import phone_hash
from tests import twilio_double
from tests.integration.conftest import KEY
from tests.integration.texting import mailed
from tests.phones import fictional_phone
from tests.twilio_double import Fault


def test_with_a_twentieth_of_each_fault_the_counts_add_up_and_nobody_is_taken_twice(texting):
    texting.customers(400).queued(send_concurrency="40")
    texting.timeout = 1.0
    kinds = {
        "too many": twilio_double.TOO_MANY,
        "reset": twilio_double.RESET,
        "timeout": Fault(delay=3.0, accepts=True),
        "broken": twilio_double.BROKEN_AFTER_ACCEPTING,
        "slow": Fault(delay=0.3),
    }
    drawn = [kind for kind in kinds for _ in range(20)] + [None] * 300
    random.Random(4).shuffle(drawn)
    struck = {}

    def fault(post):
        """The first POST for a number meets what was drawn for it; the next ones go well."""
        if post.to in struck:
            return None
        struck[post.to] = drawn[len(struck)]
        return kinds.get(struck[post.to])

    texting.double.fault = fault
    summary = texting.send()

    assert Counter(struck.values()) == {None: 300} | dict.fromkeys(kinds, 20)
    assert summary.by_status == {"accepted": 340, "unknown": 60}
    uncertain = {phone for phone, kind in struck.items() if kind in {"reset", "timeout", "broken"}}
    assert {fictional_phone(id_ - 1) for id_ in texting.listed("unknown")} == uncertain
    assert max(Counter(post.to for post in texting.double.taken).values()) == 1
    assert len(texting.double.posts) == 400 + 20  # each 429 was tried once more


def test_a_provider_that_keeps_refusing_is_left_alone_and_the_task_comes_back_later(texting):
    texting.customers(5).queued(send_concurrency="2")
    texting.double.fault = lambda post: Fault(429, 20429, retry_after="90")
    summary = texting.send()
    assert summary.by_status == {"queued": 5}
    assert (summary.resume_at - texting.world.now).total_seconds() == 300
    texting.double.fault = lambda post: None
    assert texting.send().by_status == {"accepted": 5}


def test_nobody_listening_is_tried_again_and_nothing_becomes_unknown(texting):
    texting.customers(3).queued()
    from engage.sending import throttle

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(throttle, "MAX_PAUSES", 2)
        patched.setattr(texting.double, "url", "http://127.0.0.1:9")
        assert texting.send().by_status == {"queued": 3}
    assert texting.send().by_status == {"accepted": 3}


def test_an_account_that_is_wrong_stops_everything_with_a_sentence_and_loses_nothing(texting):
    texting.customers(30).queued(send_concurrency="4")
    texting.double.fault = lambda post: Fault(401, 20003) if post.number > 8 else None
    with pytest.raises(ProviderRefuses, match="the account or its token is wrong"):
        texting.send()
    assert set(texting.statuses()) == {"accepted", "queued"}
    texting.double.fault = lambda post: None
    assert texting.send().by_status == {"accepted": 30}


def test_who_has_told_the_provider_to_stop_is_suppressed(texting):
    texting.customers(3).queued()
    texting.double.fault = lambda post: twilio_double.UNSUBSCRIBED if post.to == fictional_phone(1) else None
    texting.send()
    assert texting.world.rows("SELECT status, error_code, accepted_at FROM message WHERE customer_id = 2") == [
        ("failed", 21610, None)
    ]
    assert texting.world.rows("SELECT reason FROM suppression") == [("provider",)]
    texting.queued()
    assert texting.world.ledger()[2] == "skipped/suppressed"


@pytest.mark.parametrize("code", [21211, 21614, 30005, 30006])
def test_a_dead_number_is_not_texted_again_until_the_customers_phone_changes(texting, code):
    texting.customers(3).queued()
    texting.double.fault = lambda post: Fault(400, code) if post.to == fictional_phone(1) else None
    texting.send()
    assert texting.world.rows("SELECT reason FROM suppression") == [("dead_number",)]
    texting.queued()
    assert texting.world.ledger()[2] == "skipped/dead_number"
    new = fictional_phone(7)
    values = {"phone": new, "phone_hash": phone_hash(new, KEY)}
    texting.world.execute(sa.update(customer).where(customer.c.customer_id == 2).values(values))
    texting.queued()
    assert texting.world.ledger()[2] == "queued"


# --- unknown outcomes


def test_a_provider_that_tells_of_no_message_what_became_of_it_halts_the_campaign(texting):
    texting.customers(120).queued(send_concurrency="5")
    texting.double.fault = lambda post: twilio_double.BROKEN_AFTER_ACCEPTING if post.number > 30 else None
    summary = texting.rerun()
    posted = len(texting.double.posts)
    assert summary.halted
    mailed(texting)
    assert texting.rerun().halted_because == ""
    assert "the outcome of 20 messages in a row" in summary.halted_because
    assert 30 + 20 <= posted < 30 + 20 + 15  # some more were on their way
    assert texting.statuses() == {"accepted": 30, "unknown": posted - 30, "queued": 120 - posted}
    with texting.world.engine.connect() as conn:
        found = campaign.find(conn, texting.world.window)
    assert found.halted_by == "Engage itself"
    assert "the outcome of 20 messages in a row" in found.halted_why

    with texting.world.engine.begin() as conn:
        campaign.resume(conn, texting.world.window, as_of=texting.world.now)
    texting.double.fault = lambda post: twilio_double.BROKEN_AFTER_ACCEPTING if post.number <= posted + 10 else None
    assert texting.send().by_status == {"accepted": 120 - (posted - 30 + 10), "unknown": posted - 30 + 10}
    assert set(texting.texted().values()) == {1}


def test_messages_are_said_to_have_become_unknown_by_the_run_in_which_they_did(texting):
    texting.customers(40).queued(send_concurrency="1")
    texting.double.fault = lambda post: twilio_double.RESET if post.number % 2 else None
    summary = texting.rerun()
    assert (summary.by_status, summary.unknown_now) == ({"accepted": 20, "unknown": 20}, 20)
    texting.world.now += timedelta(hours=1)
    assert texting.rerun().unknown_now == 20  # the task's process may have died before it could mail
    assert mailed(texting) == ["Engage: 20 messages of unknown outcome"]
    summary = texting.rerun()
    assert (summary.by_status, summary.unknown_now) == ({"accepted": 20, "unknown": 20}, 0)


def test_what_went_wrong_in_an_attempt_that_failed_is_told_by_the_next(texting, monkeypatch):
    texting.customers(40).queued(send_concurrency="1")
    texting.double.fault = lambda post: twilio_double.RESET

    def away(*anything):
        monkeypatch.undo()
        raise sa.exc.OperationalError("UPDATE", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(claims, "release", away)
    with pytest.raises(sa.exc.OperationalError):
        texting.rerun()
    texting.world.now += timedelta(minutes=1)
    summary = texting.rerun()
    assert summary.unknown_now == summary.by_status["unknown"] > 0
    assert "the outcome of 20 messages in a row" in summary.halted_because
    assert len(mailed(texting)) == 2
    again = texting.rerun()
    assert (again.unknown_now, again.halted_because) == (0, "")


def test_a_message_of_unknown_fate_is_told_once_though_its_own_sender_times_out_later(texting):
    world = texting.customers(1).queued().world
    orphan = takeover.take_over(world.engine, world.window, texting.context().provider_named, world.now)
    claims.claim(world.engine, orphan, [1], world.now)
    handover.mark(world.engine, orphan, [1], world.now)
    world.now += timedelta(minutes=1)
    assert texting.rerun().unknown_now == 1
    assert mailed(texting) == ["Engage: 1 message of unknown outcome"]
    world.now += timedelta(minutes=1)
    outcomes.record(world.engine, orphan.window, orphan.token, [outcomes.Answer(1, error="ReadTimeout")], world.now)
    world.now += timedelta(minutes=1)
    assert texting.rerun().unknown_now == 0


def test_unknown_outcomes_with_others_between_them_halt_nothing(texting):
    texting.customers(80).queued(send_concurrency="1")
    texting.double.fault = lambda post: twilio_double.RESET if post.number % 20 else None
    assert texting.send().by_status == {"accepted": 4, "unknown": 76}
