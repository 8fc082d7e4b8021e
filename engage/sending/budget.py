"""The budget: how many messages a list may have, or what they may cost, and what happens to a list beyond it.

The estimate takes the longest text of each segment, with placeholders of usual length, for every message that waits.
With ``over_budget`` at *stop* a list beyond the budget stops as a whole. At *cut* each segment keeps the same share of
its messages; ``budget_cut`` says of which customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from engage.campaigns.message_counts import MessageCounts
from engage.currency import currency
from engage.errors import OverBudget
from engage.formats import counted, money, number, price
from engage.settings import MessageBudget, Settings
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


def exceeded(settings: Settings, messages: Mapping[str, int]) -> bool:
    """Whether so many messages by segment are more than the budget allows."""
    return settings.exceeds_budget(sum(messages.values()), most(settings, messages))


def in_words(budget: MessageBudget) -> str:
    """What a budget allows, such as *$500.00* or *5,000 messages*."""
    return counted(int(budget.most), "message") if budget.in_messages else money(budget.most, currency())


def kept(settings: Settings, messages: Mapping[str, int]) -> dict[str, int]:
    """How many messages of each segment a list has once it is cut to the budget.

    Each segment keeps the same share, rounded down. What is left goes to the segments that lost most by rounding, one
    message each, as far as the budget reaches.
    """
    if not exceeded(settings, messages):
        return dict(messages)
    budget = Fraction(settings.message_budget.most)
    costs = {name: _cost(settings, name) for name in messages}
    share = budget / sum(costs[name] * count for name, count in messages.items())
    found = {name: int(count * share) for name, count in messages.items()}
    left = budget - sum(costs[name] * count for name, count in found.items())
    for name in sorted(messages, key=lambda one: (found[one] - messages[one] * share, one)):
        if costs[name] <= left and found[name] < messages[name] * share:
            found[name] += 1
            left -= costs[name]
    return found


def _cost(settings: Settings, segment: str) -> Fraction:
    """What one message to a segment takes of the budget."""
    spent = settings.message_budget.spent(1, settings.cost(settings.typical_segments(segment)))
    return Fraction(spent or 0)


def refuse_too_dear(window: Window, settings: Settings, messages: Mapping[str, int]) -> None:
    """Refuse to text if the messages by segment that wait are beyond the budget; 0 allows any number.

    Raises:
        OverBudget: they are more, or may cost more, than ``message_budget``.
    """
    if not exceeded(settings, messages):
        return
    count, budget = sum(messages.values()), settings.message_budget
    head = f"{counted(count, 'message')} wait for the window {window}"
    if not budget.in_messages:
        head = f"The messages that wait for the window {window} may cost {money(most(settings, messages), currency())}"
    raise OverBudget(
        f"{head}, and message_budget allows {in_words(budget)}. No customer was texted. "
        f"{_estimate(settings, messages)}If that is right, raise engage_message_budget; to text only those furthest "
        "beyond their threshold, set engage_over_budget to cut; else narrow the segments"
        f"{'' if budget.in_messages else ' or shorten the texts'}. Then run the campaign again from extract."
    )


def _estimate(settings: Settings, messages: Mapping[str, int]) -> str:
    """How the cost of messages was estimated, for a budget of money."""
    if settings.message_budget.in_messages:
        return ""
    segments = estimated_segments(settings, messages)
    each = ", ".join(
        f"{counted(count, 'message')} to {name} of {counted(settings.typical_segments(name), 'SMS segment')}"
        for name, count in messages.items()
    )
    total = number(sum(segments.values()))
    return f"The estimate: {each}, so {total} SMS segments at {price(settings.price_per_segment, currency())}. "
