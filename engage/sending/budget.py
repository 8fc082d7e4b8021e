"""The budget: what a list of messages may cost at most, and the refusal to start a run that may cost more.

The estimate takes the longest text of each segment, with placeholders of usual length, for every message that waits.
A list that is too dear stops as a whole: no customer is left out to save money.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engage.campaigns.message_counts import MessageCounts
from engage.currency import currency
from engage.errors import OverBudget
from engage.formats import counted, money, number, price
from engage.settings import Settings
from engage.statuses import MessageStatus
from engage.window import Window


def waiting(counts: MessageCounts) -> dict[str, int]:
    """How many of these messages wait to be sent, for each segment that has any."""
    found = {name: counts.count(bucket=name, status=MessageStatus.QUEUED) for name in counts.buckets}
    return {name: count for name, count in found.items() if count}


def estimated_segments(settings: Settings, messages: Mapping[str, int]) -> dict[str, int]:
    """The most SMS segments of so many messages, by segment, with names of usual length."""
    return {name: count * settings.typical_segments(name) for name, count in messages.items()}


def most(settings: Settings, messages: Mapping[str, int]) -> Decimal | None:
    """The most that so many messages by segment cost, in the installation's currency; None without a price."""
    return settings.cost(sum(estimated_segments(settings, messages).values()))


def refuse_too_dear(window: Window, settings: Settings, messages: Mapping[str, int]) -> None:
    """Refuse to text if the messages by segment that wait may cost more than the budget; 0 allows any cost.

    Raises:
        OverBudget: they may cost more than ``message_budget``.
    """
    cost = most(settings, messages)
    if not settings.exceeds_budget(cost):
        return
    segments = estimated_segments(settings, messages)
    each = ", ".join(
        f"{counted(count, 'message')} to {name} of {counted(settings.typical_segments(name), 'SMS segment')}"
        for name, count in messages.items()
    )
    unit = currency()
    raise OverBudget(
        f"The messages that wait for the window {window} may cost {money(cost, unit)}, and message_budget allows "
        f"{money(settings.message_budget, unit)}. No customer was texted. The estimate: {each}, so "
        f"{number(sum(segments.values()))} SMS segments at {price(settings.price_per_segment, unit)}. If that cost is "
        "right, raise engage_message_budget; else shorten the texts or narrow the segments. Then run the campaign "
        "again from extract."
    )
