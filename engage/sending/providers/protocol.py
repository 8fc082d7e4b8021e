"""What every way to send text messages has in common.

What there is one of for each message is not frozen: that would triple the time it takes to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol


@dataclass(slots=True)
class OutgoingSms:
    """One text message, ready to be handed over."""

    phone: str = field(repr=False)
    body: str = field(repr=False)
    reference: str = ""
    """Comes back in the provider's receipts: which message of the ledger this is, such as ``20260914-17``."""
    valid_for: timedelta | None = None
    """The provider may not deliver it later than this; None leaves it to the provider."""


class Outcome(Enum):
    """What a provider did with a message that it certainly got, or certainly did not take."""

    ACCEPTED = auto()
    FAILED = auto()
    """It will never take this message."""
    LATER = auto()
    """It has not taken it, and may in a while."""
    REFUSED = auto()
    """It takes nobody's message, until a person has mended something."""


@dataclass(slots=True)
class Reply:
    """A provider's answer about one message."""

    outcome: Outcome
    provider_message_id: str | None = None
    error: str | None = None
    """In our words: a provider's own sentence may repeat the phone number."""
    error_code: int | None = None
    retry_after: float | None = None
    """Seconds that the provider asks to be left alone."""
    suppress: bool = False
    """The phone's owner has told the provider to stop."""


@dataclass(frozen=True)
class FoundSms:
    """A message as the provider remembers it; ``status`` is one of the ledger's."""

    provider_message_id: str
    status: str
    created_at: datetime
    body: str = field(repr=False)
    error_code: int | None = None


class SmsProvider(Protocol):
    """A way to send text messages."""

    name: str
    claim_size: int
    """How many messages a sender claims at a time, at most."""
    concurrent: bool
    """Whether a message takes long enough to be handed over that several should be at once."""

    def send(self, sms: OutgoingSms) -> Reply:
        """Hand over one message.

        Any exception means that its fate is unknown.
        """
        ...

    def find(self, phone: str, since: datetime) -> list[FoundSms]:
        """All messages to ``phone`` that the provider got since then.

        Any exception means that it cannot tell them all.
        """
        ...
