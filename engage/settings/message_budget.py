"""The most that a campaign's messages may cost, such as ``500.00``, or their greatest number, as ``5000 messages``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MOST = 1_000_000_000
FORMS = f"a number from 0 to {MOST} with at most 2 decimals, or a number of messages such as 5000 messages"
_FORM = re.compile(r"([0-9]{1,10})(\.[0-9]{1,2})?\s*(messages?)?")


@dataclass(frozen=True)
class MessageBudget:
    """``most`` is money in the installation's currency, or a whole number of messages; 0 is no limit."""

    most: Decimal
    in_messages: bool = False

    def __bool__(self) -> bool:
        return self.most > 0

    @property
    def text(self) -> str:
        """As an operator writes it."""
        if not self.in_messages:
            return f"{self.most.normalize():f}"
        return f"{self.most:f} {'message' if self.most == 1 else 'messages'}"

    def spent(self, messages: int, cost: Decimal | None) -> Decimal | None:
        """The part of these messages and their cost that this budget is about; None without a price."""
        return Decimal(messages) if self.in_messages else cost

    def kept(self) -> float | str:
        """As a campaign's snapshot keeps it. Earlier versions kept a number."""
        return self.text if self.in_messages else float(self.most)


NONE = MessageBudget(Decimal(0))


def read(text: str) -> MessageBudget:
    """The budget that a text means. Case and spaces do not matter.

    Raises:
        ValueError: it means none.
    """
    parts = _FORM.fullmatch(text.strip().lower())
    if not parts or (parts[2] and parts[3]):
        raise ValueError(f"{text!r} is no budget")
    most = Decimal(parts[1] + (parts[2] or ""))
    if most > MOST:
        raise ValueError(f"{most:f} is more than {MOST}")
    return MessageBudget(most, in_messages=parts[3] is not None)
