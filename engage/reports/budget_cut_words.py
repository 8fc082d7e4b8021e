"""Says in words where a budget cut a campaign's list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from engage.campaigns.budget_cuts import BudgetCut
from engage.campaigns.campaign import Campaign
from engage.currency import currency
from engage.formats import counted, money, number
from engage.segments import FIELDS, Unit
from engage.sending import budget
from engage.settings import Settings

_ENDS = {True: ("fewest", "lowest"), False: ("most", "highest")}


def sentences(found: Campaign) -> Iterator[str]:
    """What the budget did to the campaign's list: a sentence for each segment that it cut; none if it cut nothing."""
    if not found.has_ledger:
        return
    for name, one in found.budget_cuts.items():
        yield f"{name} keeps {number(one.kept)} of {counted(one.of, 'message')}: {_order(one)}."


def head(found: Campaign) -> str:
    """The budget that cut the list, such as *The budget of 5,000 messages cut the list*; empty if none did."""
    if not found.budget_cuts or not found.has_ledger:
        return ""
    return f"The budget of {budget.in_words(found.require_settings().message_budget)} cut the list"


def preview(settings: Settings, messages: Mapping[str, int]) -> str:
    """What the budget would do to a list of so many messages by segment; empty if it is within the budget."""
    if not budget.exceeded(settings, messages):
        return ""
    limit = f"the budget of {budget.in_words(settings.message_budget)}"
    if settings.over_budget == "stop":
        return f"exceeds {limit}, so the campaign would stop"
    kept = budget.kept(settings, messages)
    each = ", ".join(f"{name} keeps {number(kept[name])}" for name in messages)
    return f"cut to {limit}: {each}"


def _order(cut: BudgetCut) -> str:
    if cut.field is None:
        return "chance chose the customers, as none of the segment's conditions puts them in an order"
    field = FIELDS[cut.field]
    words = _ENDS[cut.lowest][field.unit in {Unit.AMOUNT, Unit.PERCENT}]
    first = f"{words} {field.label[0].lower()}{field.label[1:]} first"
    if not cut.kept:
        return f"{first}, and not one message fits"
    if cut.number is None:
        return f"{first}; of the last customer {field.never or 'none is known'}"
    return f"{first}, {'up' if cut.lowest else 'down'} to {_value(field.unit, cut.number)}"


def _value(unit: Unit, value: Decimal) -> str:
    if unit is Unit.AMOUNT:
        return money(value, currency())
    return f"{number(value.normalize())}{'%' if unit is Unit.PERCENT else ''}"
