"""What holds messages back while a campaign is sent: STOP, a halt, the cap, the rate and Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.customers import suppression
from engage.errors import OverBudget, TooManyMessages
from engage.sending import sender
from engage.settings import Settings
from engage.storage.schema import message as messages


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


def test_messages_that_may_cost_more_than_the_budget_stop_the_run_before_the_first_one(texting):
    texting.customers(6).queued(price_per_segment="0.5", message_budget="2.99")
    with pytest.raises(
        OverBudget,
        match=r"may cost \$3\.00, and message_budget allows \$2\.99\. No customer was texted\. "
        r".*6 messages to \w+ of 1 SMS segment, so 6 SMS segments at \$0\.50\.",
    ):
        texting.send()
    assert texting.double.posts == []
    assert texting.world.rows("SELECT frozen_at, status FROM campaign") == [(None, "queued")]
    texting.queued(price_per_segment="0.5", message_budget="3")
    assert texting.send().by_status == {"accepted": 6}


# --- how fast


def test_no_more_messages_a_second_than_allowed(texting):
    texting.customers(150).queued(messages_per_second="100", send_concurrency="10")
    texting.double.delay = 0.05
    texting.send()
    times = [post.at for post in texting.double.posts]
    assert len(times) == 150
    assert (len(times) - 1) / (times[-1] - times[0]) <= 110  # not 200; the times are those of arrival


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


# --- Ctrl-C


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
