"""A campaign whose messages do not arrive halts itself, or raises one alert once all are out."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.sending import delivery_health, delivery_receipts, message_reference, sender
from engage.sending.providers import Receipt
from engage.statuses import ProviderFact
from engage.storage.schema import message as messages
from tests import twilio_double
from tests.integration.conftest import KEY
from tests.integration.texting import mailed
from tests.phones import fictional_phone
from tests.twilio_double import Fault


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
