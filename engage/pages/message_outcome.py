"""What became of a campaign's messages, in parts that lead to the messages themselves."""

from __future__ import annotations

from dataclasses import dataclass

from engage.campaigns.message_counts import MessageCounts
from engage.pages import addresses
from engage.reports import message_words
from engage.statuses import MessageStatus, SkipReason
from engage.window import Window

ORDER = (
    MessageStatus.DELIVERED,
    MessageStatus.SENT,
    MessageStatus.ACCEPTED,
    MessageStatus.UNKNOWN,
    MessageStatus.UNDELIVERED,
    MessageStatus.FAILED,
    MessageStatus.SENDING,
    MessageStatus.QUEUED,
)
"""From the best outcome to the messages that have yet to go."""
NO_RECEIPT = (MessageStatus.ACCEPTED, MessageStatus.SENT)
NOT_DELIVERED = (MessageStatus.UNDELIVERED, MessageStatus.FAILED)
_WORDS = {MessageStatus.QUEUED: "waiting", MessageStatus.SENDING: "on their way"}


@dataclass(frozen=True)
class Part:
    """So many messages that have something in common."""

    name: str
    count: int
    tone: str
    address: str | None
    """The list of these messages; None if they are not in the ledger."""


def outcome(counts: MessageCounts, window: Window, *statuses: MessageStatus) -> list[Part]:
    """The messages that are not skipped, by status, or those in ``statuses``. Empty parts are left out."""
    found = ((status, counts.count(status=status)) for status in statuses or ORDER)
    return [
        Part(_WORDS.get(status, str(status)), count, _tone(status), addresses.messages(window, status=status))
        for status, count in found
        if count
    ]


def bar(counts: MessageCounts, window: Window) -> list[tuple[str, int, str]]:
    """The messages that are no longer waiting, as the macro ``bar`` takes them; its whole is ``counts.eligible``."""
    gone = [status for status in ORDER if status is not MessageStatus.QUEUED]
    return [(part.name, part.count, part.tone) for part in outcome(counts, window, *gone)]


def skipped(counts: MessageCounts, window: Window, *, without: SkipReason | None = None) -> list[Part]:
    """The skipped messages by reason in words, the most frequent first; ``without`` those of one reason."""
    return [
        Part(_lower(message_words.reason(reason)), count, "none", addresses.messages(window, reason=reason))
        for reason, count in counts.skipped_by_reason.items()
        if reason != without
    ]


def _tone(status: MessageStatus) -> str:
    return "rest" if status is MessageStatus.QUEUED else message_words.tone(status)


def _lower(words: str) -> str:
    return words[0].lower() + words[1:]
