"""A campaign's status for people: one answer from its record and its messages, for pages, commands and the service.

``CampaignStatus`` says how far the steps have come. Several things decide what that means to the operator: the run's
mode, the guard, the approval, the brake, and whether messages wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto

import sqlalchemy as sa

from engage.campaigns import campaign, message_counts
from engage.campaigns.campaign import Campaign
from engage.campaigns.message_counts import MessageCounts
from engage.statuses import ApprovalState, CampaignStatus, RunMode, SkipReason


class StatusKey(StrEnum):
    """The statuses for people. docs/operations.md explains each."""

    COMPUTING = auto()
    COMPUTED = auto()
    STOPPED_BY_GUARD = auto()
    DRY_RUN = auto()
    BACKFILLED = auto()
    QUEUED = auto()
    WAITING_FOR_APPROVAL = auto()
    REJECTED = auto()
    SENDING = auto()
    HALTED = auto()
    SENT = auto()


class Tone(StrEnum):
    """The states of Airflow's tasks whose colours the statuses have."""

    SUCCESS = auto()
    RUNNING = auto()
    QUEUED = auto()
    SCHEDULED = auto()
    UP_FOR_RESCHEDULE = auto()
    AWAITING_INPUT = auto()
    UPSTREAM_FAILED = auto()
    FAILED = auto()
    SKIPPED = auto()
    NONE = auto()


_TONES = {
    StatusKey.COMPUTING: Tone.RUNNING,
    StatusKey.COMPUTED: Tone.SCHEDULED,
    StatusKey.STOPPED_BY_GUARD: Tone.UPSTREAM_FAILED,
    StatusKey.DRY_RUN: Tone.NONE,
    StatusKey.BACKFILLED: Tone.NONE,
    StatusKey.QUEUED: Tone.QUEUED,
    StatusKey.WAITING_FOR_APPROVAL: Tone.AWAITING_INPUT,
    StatusKey.REJECTED: Tone.SKIPPED,
    StatusKey.SENDING: Tone.RUNNING,
    StatusKey.HALTED: Tone.FAILED,
    StatusKey.SENT: Tone.SUCCESS,
}
_NEED_A_PERSON = {StatusKey.STOPPED_BY_GUARD, StatusKey.WAITING_FOR_APPROVAL, StatusKey.HALTED}


@dataclass(frozen=True)
class Status:
    """A status for people. ``percent`` of the messages to send have gone; None before they are queued."""

    key: StatusKey
    label: str
    tone: Tone
    needs_person: bool
    percent: int | None = None


def of(found: Campaign, counts: MessageCounts) -> Status:
    """The status of a campaign with the messages ``counts``."""
    key = _key(found, counts)
    percent = counts.percent_gone if found.has_ledger and counts.eligible else None
    label, tone = str(key).replace("_", " ").capitalize(), _TONES[key]
    if key is StatusKey.STOPPED_BY_GUARD:
        label = "Stopped by the guard"
    elif key is StatusKey.SENDING:
        label = f"Sending {percent}%"
        tone = Tone.UP_FOR_RESCHEDULE if found.resume_at else tone
    return Status(key, label, tone, key in _NEED_A_PERSON, percent)


def _key(found: Campaign, counts: MessageCounts) -> StatusKey:
    if not found.has_ledger:
        return _key_before_the_queue(found)
    if counts.unsettled:
        return _key_while_messages_wait(found)
    if counts.gone:
        return StatusKey.SENT
    if counts.count(reason=SkipReason.REJECTED):
        return StatusKey.REJECTED
    return StatusKey.BACKFILLED if found.mode is RunMode.BACKFILL else StatusKey.COMPUTED


def _key_before_the_queue(found: Campaign) -> StatusKey:
    if found.guard.stands and found.may_text:
        return StatusKey.STOPPED_BY_GUARD
    if found.status is not CampaignStatus.BUCKETED:
        return StatusKey.COMPUTING
    return StatusKey.DRY_RUN if found.mode is RunMode.DRY_RUN else StatusKey.COMPUTED


def _key_while_messages_wait(found: Campaign) -> StatusKey:
    if found.halted_at:
        return StatusKey.HALTED
    if found.approval.state is ApprovalState.REQUESTED:
        return StatusKey.WAITING_FOR_APPROVAL
    return StatusKey.SENDING if found.status is CampaignStatus.SENDING else StatusKey.QUEUED


def counts_of(conn: sa.Connection, campaigns: Sequence[Campaign]) -> list[MessageCounts]:
    """The messages of each campaign; of one without a ledger of its own there are none."""
    kept = message_counts.of_windows(conn, [found.window for found in campaigns if found.has_ledger])
    return [kept.get(found.window, MessageCounts()) for found in campaigns]


def of_all(conn: sa.Connection, campaigns: Sequence[Campaign]) -> list[Status]:
    """The status of each campaign."""
    return [of(*both) for both in zip(campaigns, counts_of(conn, campaigns), strict=True)]


def tally(conn: sa.Connection) -> dict[StatusKey, int]:
    """How many campaigns have each status."""
    keys = [status.key for status in of_all(conn, campaign.find_all(conn))]
    return {key: keys.count(key) for key in StatusKey}
