"""What an alert says and whom it reaches. Nothing of any customer is in it, as it leaves the house.

The plugin ``engage_alerts`` sends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


@dataclass(frozen=True)
class Alert:
    """One incident: what happened, and what to look at."""

    subject: str
    happened: str
    advice: str


def addresses(text: str) -> list[str]:
    """The addresses in ``text``, with commas between them.

    Raises:
        ValueError: one of them is none.
    """
    if not text.strip():
        return []
    found = [address.strip() for address in text.split(",")]
    for address in found:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(f"{address!r} is not an e-mail address")
    return found


def task_failed(dag: str, task: str, reason: str) -> Alert:
    """A task has failed and is not tried again."""
    return Alert(
        f"Engage: the task {task} of {dag} has failed",
        f"The task {task} has failed, and is not tried again. {reason}",
        "docs/operations.md says what to do under What a run can say.",
    )


def approval_requested(messages: int, hours: int) -> Alert:
    """Somebody has to approve of a campaign's messages."""
    return Alert(
        f"Engage: {messages:,} messages wait for an approval",
        f"A campaign's list of {messages:,} {'message' if messages == 1 else 'messages'} waits for somebody to approve "
        f"of it. Without an answer within {hours} hours it is rejected, and nobody is texted.",
        "Look at it in Airflow under Required Actions, and answer there.",
    )


def approval_timed_out() -> Alert:
    """Nobody has answered in time."""
    return Alert(
        "Engage: a campaign was rejected, as nobody has approved of it in time",
        "Nobody has answered whether a campaign's messages may go out, so nobody was texted.",
        "To be asked again, trigger a run of the same window.",
    )


def campaign_halted(why: str) -> Alert:
    """The sender has pulled the brake of its campaign."""
    return Alert(
        "Engage: a campaign is halted",
        f"Engage has halted a campaign by itself: {why}. What is queued waits.",
        "Look at the provider first. Resume… on the campaign's report releases the brake, and the task message, "
        "cleared, sends what is queued.",
    )


def messages_unknown(count: int) -> Alert:
    """Messages have become unknown: they may or may not have gone out."""
    messages = "1 message" if count == 1 else f"{count:,} messages"
    return Alert(
        f"Engage: {messages} of unknown fate",
        f"The provider failed, or the sender ended, while {messages} {'was' if count == 1 else 'were'} handed over. "
        "None is sent again by machine.",
        "python -m engage messages --status unknown lists them, and python -m engage messages reconcile asks the "
        "provider about them.",
    )
