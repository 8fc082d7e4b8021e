"""What every SMS provider has in common: the messages it takes, and what it reports of them.

A provider has error numbers and statuses of its own. It reports a ``MessageStatus`` and a ``ProviderFact`` instead, and
an ``error`` in our words, as its own sentences may repeat the phone number. Its number is only kept and shown.

Classes with one instance a message are not frozen: that would triple the time to make one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from engage.statuses import MessageStatus, ProviderFact


@dataclass(slots=True)
class OutgoingSms:
    """One text message, ready to be handed over."""

    phone: str = field(repr=False)
    body: str = field(repr=False)
    reference: str = ""
    """Comes back in the provider's receipts. ``message_reference`` writes and reads it."""
    valid_for: timedelta | None = None
    """The provider may not deliver it later than this; None leaves it to the provider."""


class Outcome(Enum):
    """What a provider did with a message that it certainly got, or certainly did not take."""

    ACCEPTED = auto()
    FAILED = auto()
    """It will never take this message."""
    LATER = auto()
    """It has not taken the message, and may in a while."""
    REFUSED = auto()
    """It takes no message at all until the operator mends the account."""


@dataclass(slots=True)
class Reply:
    """A provider's answer to one message."""

    outcome: Outcome
    provider_message_id: str | None = None
    error: str | None = None
    error_code: int | None = None
    fact: ProviderFact | None = None
    """Why a message has ``FAILED``, if the provider says so."""
    retry_after: float | None = None
    """Seconds of the pause that the provider asks for."""


@dataclass(frozen=True)
class Receipt:
    """A provider's later report on one message. ``reference`` is that of its ``OutgoingSms``."""

    reference: str
    provider_message_id: str
    phone: str = field(repr=False)
    """The recipient, in E.164."""
    status: MessageStatus
    error: str | None = None
    error_code: int | None = None
    fact: ProviderFact | None = None


@dataclass(frozen=True)
class FoundSms:
    """A message as the provider remembers it."""

    provider_message_id: str
    status: MessageStatus
    created_at: datetime
    body: str = field(repr=False)
    error: str | None = None
    error_code: int | None = None
    fact: ProviderFact | None = None


class SmsProvider(Protocol):
    """A way to send text messages."""

    name: str
    claim_size: int
    """How many messages a sender claims at a time, at most."""
    concurrent: bool
    """Whether handing a message over takes so long that several should go at once."""

    def send(self, sms: OutgoingSms) -> Reply:
        """Hand over one message.

        Any exception means that its outcome is unknown.
        """
        ...

    def find(self, phone: str, since: datetime) -> list[FoundSms]:
        """All messages to ``phone`` that the provider got since then.

        Any exception means that the provider cannot list them all.
        """
        ...
