"""The status for people, derived from a campaign's record and its messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from engage.campaigns import status
from engage.campaigns.approval import Approval
from engage.campaigns.campaign import Campaign
from engage.campaigns.guard import Finding, Guard
from engage.campaigns.message_counts import Group, MessageCounts
from engage.campaigns.status import StatusKey, Tone
from engage.statuses import ApprovalState, CampaignStatus, GuardCheck, RunMode
from engage.window import Window

NOW = datetime(2026, 11, 10, tzinfo=UTC)
WINDOW = Window.last_complete(NOW)
ODD = Guard((Finding(GuardCheck.VOLUME, "sessions", 1.0, 50.0, "there are few sessions"),))
CAMPAIGN = Campaign(
    window=WINDOW, run_id="a run", triggered_by=None, status=CampaignStatus.SENDING, mode=RunMode.TEXT, settings=None,
    settings_at=None, events={}, rejected={}, customers=None, buckets=None, timings={}, opened_at=NOW,
    frozen_at=None, finished_at=None,
    halted_at=None, halted_by=None, halted_why=None, resumed_at=None, resume_at=None, sender_token=0, guard=Guard(),
    approval=Approval(WINDOW), variants=None,
)  # fmt: skip


def counts(*, rejected: int = 0, **by_status: int) -> MessageCounts:
    groups = [
        Group("BOOST", name, None, None, name == "accepted", number, number, None, None)
        for name, number in by_status.items()
    ]
    return MessageCounts((*groups, Group("BOOST", "skipped", "rejected", None, False, rejected, 0, None, None)))


def key(*, messages: MessageCounts | None = None, **values: object) -> str:
    return status.of(replace(CAMPAIGN, **values), messages or MessageCounts()).key  # type: ignore[arg-type]


@pytest.mark.parametrize("how_far", ["extracted", "aggregated"])
@pytest.mark.parametrize("mode", [*RunMode, None])
def test_a_campaign_without_buckets_is_computing(how_far, mode):
    assert key(status=CampaignStatus(how_far), mode=mode) == "computing"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("text", "computed"), ("dry_run", "dry_run"), ("backfill", "computed"), ("late", "computed"), (None, "computed")],
)
def test_a_campaign_with_buckets_is_computed_or_a_dry_run(mode, expected):
    assert key(status=CampaignStatus.BUCKETED, mode=mode and RunMode(mode)) == expected


@pytest.mark.parametrize("how_far", ["extracted", "aggregated", "bucketed"])
@pytest.mark.parametrize(
    ("mode", "stops"), [("text", True), (None, True), ("dry_run", False), ("backfill", False), ("late", False)]
)
def test_the_guard_stops_only_a_run_that_may_text(how_far, mode, stops):
    found = key(status=CampaignStatus(how_far), mode=mode and RunMode(mode), guard=ODD)
    assert (found == "stopped_by_guard") is stops


def test_an_ignored_guard_stops_nothing():
    assert key(status=CampaignStatus.BUCKETED, guard=replace(ODD, ignored_by="a run")) == "computed"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"status": "queued"}, "queued"),
        ({"status": "sending"}, "sending"),
        ({"status": "queued", "approval": "requested"}, "waiting_for_approval"),
        ({"status": "queued", "approval": "approved"}, "queued"),
        ({"status": "queued", "halted_at": NOW}, "halted"),
        ({"status": "sending", "halted_at": NOW}, "halted"),
        ({"status": "queued", "approval": "requested", "halted_at": NOW}, "halted"),
    ],
)
@pytest.mark.parametrize("waits", ["queued", "sending"])
def test_while_messages_wait_or_are_on_their_way_it_is_one_of_these(values, expected, waits):
    values = values | {"status": CampaignStatus(values["status"])}
    if "approval" in values:
        values["approval"] = Approval(WINDOW, state=ApprovalState(values["approval"]))
    assert key(messages=counts(accepted=2, **{waits: 1}), **values) == expected


@pytest.mark.parametrize("end", ["accepted", "sent", "delivered", "undelivered", "failed", "unknown"])
@pytest.mark.parametrize("values", [{}, {"halted_at": NOW}, {"mode": None}, {"status": CampaignStatus.SENDING}])
def test_a_campaign_is_sent_once_no_message_waits_and_one_was_handed_over(end, values):
    values = {"status": CampaignStatus.COMPLETE} | values
    assert key(messages=counts(**{end: 1}), **values) == "sent"


@pytest.mark.parametrize(
    ("mode", "expected"), [("text", "computed"), ("late", "computed"), ("backfill", "backfilled"), (None, "computed")]
)
def test_a_complete_campaign_that_handed_nothing_over_is_computed_or_backfilled(mode, expected):
    assert key(status=CampaignStatus.COMPLETE, mode=mode and RunMode(mode)) == expected


def test_a_campaign_is_rejected_if_its_messages_were():
    messages = counts(rejected=3)
    rejected = Approval(WINDOW, state=ApprovalState.REJECTED)
    assert key(messages=messages, status=CampaignStatus.COMPLETE, approval=rejected) == "rejected"
    assert key(status=CampaignStatus.COMPLETE, approval=rejected) == "computed"


@pytest.mark.parametrize(
    ("gone", "waiting", "percent"), [(0, 3, 0), (1, 2, 33), (35, 65, 35), (999, 1, 99), (1, 999, 0), (3, 0, 100)]
)
def test_the_percentage_is_rounded_down_so_that_100_means_all(gone, waiting, percent):
    found = status.of(CAMPAIGN, counts(accepted=gone, queued=waiting))
    assert found.percent == percent
    assert found.label == (f"Sending {percent}%" if waiting else "Sent")


def test_before_the_queue_there_is_no_percentage():
    assert status.of(replace(CAMPAIGN, status=CampaignStatus.BUCKETED), MessageCounts()).percent is None


def test_a_sender_that_waits_has_the_colour_of_a_task_that_waits():
    messages = counts(queued=1)
    assert status.of(CAMPAIGN, messages).tone is Tone.RUNNING
    assert status.of(replace(CAMPAIGN, resume_at=NOW), messages).tone is Tone.UP_FOR_RESCHEDULE
    assert status.of(replace(CAMPAIGN, resume_at=NOW, halted_at=NOW), messages).tone is Tone.FAILED


def test_every_key_has_a_tone():
    assert set(status._TONES) == set(StatusKey)


# --- the messages, counted


def test_counts_add_up_over_groups():
    found = MessageCounts((
        Group("BOOST", "accepted", None, None, True, 3, 4, NOW, NOW),
        Group("REWARD", "failed", None, "filtered", True, 2, 2, NOW, None),
        Group("REWARD", "failed", None, "unreachable", False, 1, 1, None, None),
        Group("BOOST", "unknown", None, None, False, 1, 1, None, None),
        Group("BOOST", "queued", None, None, False, 5, 0, None, None),
        Group("BOOST", "sending", None, None, False, 1, 1, None, None),
        Group("BOOST", "skipped", "opted_out", None, False, 7, 0, None, None),
        Group("REWARD", "skipped", "opted_out", None, False, 1, 0, None, None),
        Group("REWARD", "skipped", "no_phone", None, False, 2, 0, None, None),
    ))  # fmt: skip
    assert found.to_dict() == {
        "total": 23,
        "by_status": {"queued": 5, "sending": 1, "accepted": 3, "unknown": 1, "failed": 3, "skipped": 10},
        "skipped_by_reason": {"opted_out": 8, "no_phone": 2},
        "segments": 9,
        "charged_segments": 6,
    }
    assert list(found.by_status) == ["queued", "sending", "accepted", "unknown", "failed", "skipped"]
    assert (found.waiting, found.on_their_way, found.unsettled) == (5, 1, 6)
    assert (found.eligible, found.gone, found.taken, found.percent_gone) == (13, 7, 5, 53)
    assert found.count(bucket="REWARD", fact="filtered") == 2
    assert (found.first_claim_at, found.last_claim_at) == (NOW, NOW)


def test_no_messages_count_as_none():
    found = MessageCounts()
    assert found.to_dict() == {
        "total": 0, "by_status": {}, "skipped_by_reason": {}, "segments": 0, "charged_segments": 0
    }  # fmt: skip
    assert (found.percent_gone, found.first_claim_at, found.last_claim_at) == (0, None, None)
