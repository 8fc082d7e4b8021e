"""Alerts: the texts of the operators' e-mails. They hold no customer data, as e-mail leaves the operator's servers.

``engage.alert_outbox`` keeps them until the plugin ``engage_alerts`` has mailed them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engage.statuses import AlertKind

_ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


@dataclass(frozen=True)
class Alert:
    """One incident: what happened, and what the operator can do."""

    subject: str
    happened: str
    advice: str


def addresses(text: str) -> list[str]:
    """The e-mail addresses in ``text``, which commas separate.

    Raises:
        ValueError: one of them is no address.
    """
    if not text.strip():
        return []
    found = [address.strip() for address in text.split(",")]
    for address in found:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(f"{address!r} is not an e-mail address")
    return found


def task_failed(dag: str, task: str, reason: str) -> Alert:
    """A task has failed after its last retry."""
    return Alert(
        f"Engage: the task {task} of {dag} has failed",
        f"The task {task} has failed, and Airflow does not retry it. {reason}",
        "docs/operations.md lists the reasons and their remedies under What a run can say.",
    )


def approval_requested(messages: int, hours: int) -> Alert:
    """A campaign's list waits for an approver."""
    return Alert(
        f"Engage: {messages:,} {'message waits' if messages == 1 else 'messages wait'} for an approval",
        f"A campaign's list of {_messages(messages)} waits for an approval. Without an answer within {hours} hours the "
        "list is rejected, and no message is sent.",
        "Read the list in Airflow under Required Actions, and answer there.",
    )


def approval_timed_out() -> Alert:
    """No approver answered in time."""
    return Alert(
        "Engage: a campaign was rejected, as no approval came in time",
        "No approver answered in time, so the campaign's list was rejected and no message was sent.",
        "To be asked again, trigger a run of the same window.",
    )


def campaign_halted(why: str) -> Alert:
    """The sender has halted its own campaign."""
    return Alert(
        "Engage: a campaign is halted",
        f"Engage has halted a campaign by itself: {why}. Its queued messages wait.",
        "Look at the provider first. Then press Resume… on the campaign's report, and clear the task message: it sends "
        "what is queued.",
    )


def messages_unknown(count: int) -> Alert:
    """The outcome of some messages is unknown: they may or may not have gone out."""
    return Alert(
        f"Engage: {_messages(count)} of unknown outcome",
        f"The provider failed, or the sender ended, while {_messages(count)} {'was' if count == 1 else 'were'} handed "
        "over. Engage does not send them again.",
        "`engage messages --status unknown` lists them, and `engage messages reconcile` asks the provider about them.",
    )


def poor_delivery(why: str) -> Alert:
    """Too many messages of a complete campaign did not arrive, as its receipts say."""
    return Alert(
        "Engage: too many messages of a campaign did not arrive",
        f"The receipts of a campaign that is complete report trouble: {why}.",
        "The campaign's report gives the errors by message. Look at the provider and the sender's number before the "
        "next campaign.",
    )


def window_stuck(problem: str, way_out: str) -> Alert:
    """A window was not texted in time, or its campaign cannot move on by itself."""
    return Alert("Engage: a campaign needs you", f"A window's campaign does not go on by itself. {problem}", way_out)


_OF_KIND: dict[AlertKind, Callable[..., Alert]] = {
    AlertKind.TASK_FAILED: task_failed,
    AlertKind.APPROVAL_REQUESTED: approval_requested,
    AlertKind.APPROVAL_TIMED_OUT: approval_timed_out,
    AlertKind.CAMPAIGN_HALTED: campaign_halted,
    AlertKind.MESSAGES_UNKNOWN: messages_unknown,
    AlertKind.POOR_DELIVERY: poor_delivery,
    AlertKind.WINDOW_STUCK: window_stuck,
}


def of(kind: AlertKind, detail: Mapping[str, Any]) -> Alert:
    """The alert of a kind. ``detail`` holds the arguments of its function here."""
    return _OF_KIND[kind](**detail)


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"
