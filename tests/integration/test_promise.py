"""The promise: at most one message per customer and campaign, whatever dies, hangs or fails, and nothing lost.

The provider is a server that speaks Twilio's API; Twilio's own SDK sends to it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import campaign
from engage.customers import suppression
from engage.errors import ProviderRefuses, Superseded, TooManyMessages
from engage.sending import (
    claims,
    delivery_health,
    delivery_receipts,
    handover,
    message_reference,
    outcomes,
    sender,
    takeover,
)
from engage.sending.providers import Outcome, Receipt, Reply
from engage.settings import Settings
from engage.statuses import ProviderFact
from engage.storage.schema import customer
from engage.storage.schema import message as messages
from engage.texts.phone import phone_hash
from tests import twilio_double
from tests.integration.conftest import KEY
from tests.integration.texting import NOON_IN_NEW_YORK, Texting
from tests.phones import fictional_phone
from tests.twilio_double import Fault

CRASHES = 20


@pytest.fixture
def texting(world, double):
    """A campaign of customers in New York, to be texted through the double."""
    return Texting(world, double)


# --- crashes


@pytest.fixture
def crashing(world, url, double):
    """Send in a process that is killed at a boundary; returns after its death."""
    arguments = [url, world.window.start.isoformat(), NOON_IN_NEW_YORK.isoformat(), double.url]
    environment = {"SMS_SID": twilio_double.SID, "SMS_TOKEN": twilio_double.TOKEN, "SMS_SENDER": twilio_double.SENDER}
    environment["PGAPPNAME"] = "crashing"
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("crash.py")), *arguments],
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:

        def crash(boundary, at):
            victim = None

            def kill(post):
                if boundary == "posted" and post.number == at:
                    os.kill(victim, signal.SIGKILL)

            double.on_post = kill
            process.stdin.write(f"{boundary} {at}\n")
            victim = int(process.stdout.readline())
            ended = int(process.stdout.readline())
            double.on_post = lambda post: None
            while world.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crashing'"):
                time.sleep(0.01)  # what the dead had asked for, Postgres still does
            return ended

        yield crash
        process.stdin.close()


@pytest.mark.parametrize(
    ("boundary", "rate"),
    [(boundary, "0") for boundary in ("claimed", "committed", "marking", "marked", "posted", "answered", "recording")]
    + [("committed", "60")],
)
def test_whenever_the_sender_is_killed_nobody_is_texted_twice_and_nobody_is_missing(texting, crashing, boundary, rate):
    customers, at_once = 12, 3
    texting.customers(customers)
    for crash in range(CRASHES):
        texting.double.posts.clear()
        texting.queued(send_concurrency=str(at_once), messages_per_second=rate)
        assert crashing(boundary, 1 + crash % 4) == -signal.SIGKILL
        handed = texting.world.value(
            "SELECT count(*) FROM message WHERE status = 'sending' AND handed_over_at IS NOT NULL"
        )
        posted = set(texting.texted())

        texting.send()

        assert max(texting.texted().values()) == 1
        unknown, accepted = texting.listed("unknown"), texting.listed("accepted")
        assert unknown | accepted == set(range(1, customers + 1))
        assert len(unknown) == handed  # what was claimed and never handed over has been sent by the next sender
        assert len(unknown - posted) <= at_once
        if crash % 4 == 0 and boundary in {"claimed", "committed", "marking"}:
            assert not unknown  # nothing was marked before
        assert posted <= unknown | accepted
        assert accepted <= set(texting.texted())
        if boundary == "claimed":
            assert len(unknown) < customers  # what was not committed was not claimed
        if boundary in {"posted", "answered"}:
            assert unknown & posted
        texting.send()
        assert max(texting.texted().values()) == 1


# --- two at once


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


# --- faults


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


def mailed(texting):
    """Mail the alerts that wait; returns their subjects."""
    subjects = []
    alert_outbox.deliver(
        texting.world.engine, lambda waiting: subjects.append(waiting.alert.subject), lambda: texting.world.now
    )
    return subjects


def test_a_campaign_that_networks_filter_out_is_halted(texting):
    texting.customers(200).queued(send_concurrency="5", max_filtered_percent="10")
    texting.double.fault = lambda post: twilio_double.FILTERED if post.number % 4 == 0 else None
    summary = texting.rerun()
    assert summary.halted
    assert "filtered out as spam" in summary.halted_because
    assert 20 <= len(texting.double.posts) < 60
    with texting.world.engine.connect() as conn:
        found = campaign.find(conn, texting.world.window)
    assert found.halted_by == "Engage itself"
    assert "filtered out as spam, more than max_filtered_percent 10" in found.halted_why

    texting.double.fault = lambda post: None
    with texting.world.engine.begin() as conn:
        campaign.resume(conn, texting.world.window, as_of=texting.world.now + timedelta(minutes=1))
    texting.world.now += timedelta(minutes=2)
    mailed(texting)
    summary = texting.rerun()
    assert (summary.halted, summary.halted_because) == (False, "")  # whoever resumed it has seen those
    assert set(texting.texted().values()) == {1}


def test_posts_that_are_refused_for_any_reason_halt_the_campaign(texting):
    texting.customers(79).queued(send_concurrency="1")
    texting.double.fault = lambda post: Fault(400, 21408)
    summary = texting.rerun()
    assert "messages did not arrive, more than max_undelivered_percent 50" in summary.halted_because
    assert len(texting.double.posts) < 60


def test_receipts_that_report_failures_after_the_end_raise_one_alert(texting):
    texting.customers(60).queued()
    assert texting.rerun().by_status == {"accepted": 60}
    texting.world.execute(sa.update(messages).values(status="undelivered", fact="unreachable"))
    for _ in range(2):
        assert delivery_health.report_poor_delivery(texting.world.engine, as_of=texting.world.now) == 1
    assert mailed(texting) == ["Engage: too many messages of a campaign did not arrive"]


def test_failures_from_before_the_last_resume_are_not_reported_again(texting):
    texting.customers(60).queued()
    assert texting.rerun().by_status == {"accepted": 60}
    texting.world.execute(sa.update(messages).values(status="undelivered", fact="unreachable"))
    texting.world.execute(sa.text("UPDATE campaign SET resumed_at = finished_at + interval '1 minute'"))
    assert delivery_health.report_poor_delivery(texting.world.engine, as_of=texting.world.now) == 0
    assert mailed(texting) == []


def test_a_failure_among_a_senders_last_messages_is_judged_before_it_ends(texting, monkeypatch):
    monkeypatch.setattr(delivery_health, "JUDGED_AT_ONCE", 0)
    monkeypatch.setattr(delivery_health, "JUDGED_EVERY", 3600.0)
    texting.customers(40).queued()
    texting.double.fault = lambda post: Fault(400, 21408)
    texting.rerun()
    assert "40 of 40 messages did not arrive" in texting.world.value("SELECT halted_why FROM campaign")


def test_receipts_that_report_failures_while_messages_wait_halt_the_campaign(texting):
    texting.customers(60).queued()
    world = texting.world
    world.execute(
        sa.update(messages).where(messages.c.customer_id <= 30).values(status="sending", sending_at=world.now)
    )
    world.execute(sa.update(messages).where(messages.c.customer_id <= 30).values(status="undelivered"))
    world.execute(sa.text("UPDATE campaign SET status = 'sending', frozen_at = opened_at"))
    judge = delivery_health.ReceiptJudge(world.engine)
    for _ in range(2):
        judge.judge(world.window, world.now)
    assert "30 of 30 messages did not arrive" in world.value("SELECT halted_why FROM campaign")
    assert mailed(texting) == ["Engage: a campaign is halted"]


def test_a_campaign_is_judged_by_its_receipts_only_once_in_a_while(texting, monkeypatch):
    texting.customers(60).queued()
    assert texting.rerun().by_status == {"accepted": 60}
    judge = delivery_health.ReceiptJudge(texting.world.engine)
    judge.judge(texting.world.window, texting.world.now)
    texting.world.execute(sa.update(messages).values(status="undelivered", fact="unreachable"))
    judge.judge(texting.world.window, texting.world.now)
    assert mailed(texting) == []
    monkeypatch.setattr(delivery_health, "JUDGED_EVERY", 0.0)
    judge.judge(texting.world.window, texting.world.now)
    assert mailed(texting) == ["Engage: too many messages of a campaign did not arrive"]


@pytest.mark.parametrize(
    ("code", "cause"),
    [(30034, "registration"), (30032, "registration"), (30022, "limit"), (30023, "limit"), (30027, "limit")],
)
def test_a_fault_of_the_senders_number_halts_the_campaign_and_names_the_cause(texting, code, cause):
    texting.customers(30).queued(send_concurrency="2")
    texting.double.fault = lambda post: Fault(400, code) if post.number > 3 else None
    summary = texting.rerun()
    assert summary.halted
    assert cause in summary.halted_because
    assert 3 + 5 <= len(texting.double.posts) <= 14
    assert texting.world.rows("SELECT * FROM suppression") == []


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


def test_receipts_of_filtered_messages_halt_the_campaign_as_well(texting, monkeypatch):
    monkeypatch.setattr(sender, "REVIEW_EVERY", 0.0)
    texting.customers(100).queued(send_concurrency="2", max_filtered_percent="10")

    def filter_out(post):
        """The receipt comes before the answer."""
        [customer_id] = [n + 1 for n in range(100) if fictional_phone(n) == post.to]
        reference = message_reference.write(texting.world.window, customer_id)
        receipt = Receipt(
            reference, f"SM{post.number:032x}", post.to, "undelivered", error_code=7, fact=ProviderFact.FILTERED
        )
        assert delivery_receipts.apply(texting.world.engine, receipt, hash_key=KEY, as_of=texting.world.now)

    texting.double.on_post = filter_out
    summary = texting.rerun()
    assert summary.halted
    assert "filtered out as spam" in summary.halted_because
    assert 20 <= len(texting.double.posts) < 40


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


# --- STOP, halt, caps


def stop(texting, customer_id):
    with texting.world.engine.begin() as conn:
        theirs = sa.select(messages.c.phone_hash).where(messages.c.customer_id == customer_id)
        phone_hash = conn.execute(theirs).scalar_one()
        suppression.suppress(conn, phone_hash, reason="stop", source="a test", as_of=texting.world.now)


def test_a_stop_between_queueing_and_sending_wins(texting):
    texting.customers(6).queued()
    stop(texting, 4)
    texting.send()
    assert 4 not in texting.texted()
    assert texting.world.ledger()[4] == "skipped/suppressed"


def test_a_stop_while_the_campaign_is_being_sent_wins(texting):
    texting.customers(30).queued(send_concurrency="2")
    texting.double.on_post = lambda post: stop(texting, 25) if post.number == 5 else None
    texting.send()
    assert 25 not in texting.texted()
    assert texting.world.ledger()[25] == "skipped/suppressed"
    assert len(texting.texted()) == 29


def test_a_halt_while_sending_stops_within_one_claim_and_resuming_sends_the_rest(texting):
    texting.customers(40).queued(send_concurrency="3")

    def pull(post):
        if post.number == 6:
            with texting.world.engine.begin() as conn:
                campaign.halt(conn, texting.world.window, by="ada", why="a typo", as_of=texting.world.now)

    texting.double.on_post = pull
    summary = texting.send()
    assert summary.halted
    assert len(texting.double.posts) <= 6 + 3
    assert texting.statuses() == {"accepted": len(texting.double.posts), "queued": 40 - len(texting.double.posts)}
    assert texting.rerun().halted
    with texting.world.engine.begin() as conn:
        campaign.resume(conn, texting.world.window, as_of=texting.world.now)
    assert texting.rerun().by_status == {"accepted": 40}
    assert set(texting.texted().values()) == {1}


@pytest.mark.parametrize("again", [{}, {"backfill": True}, {"send_late": True}, {"dry_run": True}])
def test_whatever_is_run_again_after_the_end_texts_nobody(texting, again):
    texting.customers(10).queued()
    texting.send()
    before = texting.world.dump("campaign", "message", "customer_bucket")
    texting.world.computed(low_spend_threshold="0", message_boost="Another text")
    texting.rerun(**again)
    assert len(texting.double.posts) == 10
    assert texting.world.dump("campaign", "message", "customer_bucket") == before


def test_more_messages_than_a_run_may_send_stop_it_before_the_first_one(texting):
    texting.customers(6).queued(max_messages_per_run="5")
    with pytest.raises(
        TooManyMessages, match=r"6 messages wait .* max_messages_per_run allows 5\. No customer was texted"
    ):
        texting.send()
    assert texting.double.posts == []
    assert texting.world.rows("SELECT frozen_at, status FROM campaign") == [(None, "queued")]
    texting.queued(max_messages_per_run="6")
    assert texting.send().by_status == {"accepted": 6}


# --- how fast


def test_no_more_messages_a_second_than_allowed(texting):
    texting.customers(150).queued(messages_per_second="100", send_concurrency="10")
    texting.double.delay = 0.05
    texting.send()
    times = [post.at for post in texting.double.posts]
    assert len(times) == 150
    assert (len(times) - 1) / (times[-1] - times[0]) <= 101


def test_how_fast_is_read_again_while_sending_and_a_wrong_value_changes_nothing(texting, monkeypatch, caplog):
    monkeypatch.setattr(sender, "REVIEW_EVERY", 0.1)
    texting.customers(60).queued(messages_per_second="20", send_concurrency="3")
    looks = []

    def current():
        looks.append(time.monotonic())
        if len(looks) == 2:
            return Settings(messages_per_second=0, send_concurrency=20)
        if len(looks) > 2:
            raise RuntimeError("Airflow does not answer")
        return Settings(messages_per_second=20, send_concurrency=3)

    texting.double.delay = 0.05
    texting.send(current)
    assert len(texting.texted()) == 60
    slow = [post for post in texting.double.posts if post.at < looks[1]]
    assert len(slow) < 10
    assert texting.double.posts[-1].at - texting.double.posts[0].at < 2.5  # 20 a second would take 3 s
    assert "as fast as before" in caplog.text or len(looks) == 2


@pytest.fixture
def interruptible():
    """A shell has Ctrl-C ignored in what it starts in the background, and so in these tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_cancelled_sender_hands_over_nothing_more_and_writes_down_what_is_on_its_way(texting):
    texting.customers(40).queued(send_concurrency="4", messages_per_second="50")
    texting.double.delay = 0.1

    main = threading.get_ident()
    texting.double.on_post = lambda post: signal.pthread_kill(main, signal.SIGINT) if post.number == 10 else None
    with pytest.raises(KeyboardInterrupt):
        texting.send()
    posted = len(texting.double.posts)
    assert posted < 20
    assert texting.statuses() == {"accepted": posted, "queued": 40 - posted}
    assert texting.send().by_status == {"accepted": 40}
    assert set(texting.texted().values()) == {1}


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
