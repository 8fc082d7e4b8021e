"""What every way to send text messages has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class OutgoingSms:
    """One text message, ready to be handed over."""

    phone: str
    body: str


class SmsProvider(Protocol):
    """A way to send text messages."""

    name: str
    claim_size: int
    """How many messages a sender claims at a time: what a crash may leave with an unknown outcome."""

    def send(self, sms: OutgoingSms) -> str:
        """Hand over one message and return the provider's id of it.

        Any exception means that its fate is unknown.
        """
        ...
