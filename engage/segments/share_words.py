"""Says what a share of the customers became in a window: its number, how many customers it takes, and what is odd."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from engage.segments.fields import FIELDS
from engage.segments.relative import Resolved, Side
from engage.segments.rules import Operator, Share
from engage.segments.words import HOLDS, rounded

Writer = Callable[[Decimal, str], str]
"""Writes a number that is compared with a field, such as $87.40."""
_STRICT = {Side.LOWEST: {Operator.BELOW, Operator.IN}, Side.HIGHEST: {Operator.ABOVE, Operator.IN}}
"""The operators that leave out the customers at the number."""
_WITH_TIES = {Side.LOWEST: Operator.AT_MOST, Side.HIGHEST: Operator.AT_LEAST}
"""The operator that takes them as well."""
_IN = {Side.LOWEST: Operator.BELOW, Side.HIGHEST: Operator.ABOVE}
_MATTERS = 20
"""A share that misses what was asked for by more than this part of it is remarked on: a twentieth."""


def plain(number: Decimal, _field: str) -> str:
    """A number with a point and no unit."""
    return f"{number:f}"


def customers(share: Share, found: Resolved, operator: Operator) -> int:
    """How many customers a comparison with the share's number takes."""
    if operator in _STRICT[share.relative.side]:
        return found.within
    if operator is _WITH_TIES[share.relative.side]:
        return found.within + found.ties
    strict_rest = operator in {Operator.BELOW, Operator.ABOVE}
    return found.known - found.within - (found.ties if strict_rest else 0)


def in_words(share: Share, found: Resolved, write: Writer = plain) -> str:
    """The number and the customers, such as *lowest 20% = below $87.40: 199,812 customers*."""
    return f"{share.relative.text} = {'; '.join(_taken(share, found, each, write) for each in share.operators)}"


def sentences(share: Share, found: Resolved, write: Writer = plain) -> str:
    """``in_words`` as a sentence, with what is odd."""
    return f"{in_words(share, found, write)}. {note(share, found, write)}".rstrip()


def note(share: Share, found: Resolved, write: Writer = plain) -> str:
    """What is odd, as sentences: customers who tie, or none at all. Empty if nothing is."""
    if not found.known:
        return f"No customer has a value to compare, so {share.relative.text} takes no customer."
    operators = set(share.operators)
    takes_ties = _WITH_TIES[share.relative.side] in operators
    if not found.asked and not takes_ties:
        return f"{share.relative.text} of {found.known:,} is less than one customer, so it takes no customer."
    said = []
    if found.asked and operators & _STRICT[share.relative.side]:
        said.append(_left_out(share, found, write))
    if takes_ties:
        said.append(_taken_along(share, found, write))
    return " ".join(filter(None, said))


def _taken(share: Share, found: Resolved, operator: Operator, write: Writer) -> str:
    number = write(rounded(found.number), share.field)
    than = HOLDS[_IN[share.relative.side] if operator is Operator.IN else operator]
    taken = customers(share, found, operator)
    if FIELDS[share.field].missing:
        return f"{than} {number}: {taken:,} of the {found.known:,} customers with a value"
    return f"{than} {number}: {taken:,} {'customer' if taken == 1 else 'customers'}"


def _left_out(share: Share, found: Resolved, write: Writer) -> str:
    number = write(rounded(found.number), share.field)
    tied = f"{_percent(found.ties, found.known)} of the customers tie at {number}"
    if not found.within:
        other = HOLDS[_WITH_TIES[share.relative.side]]
        by_operator = "" if set(share.operators) == {Operator.IN} else f", compare by “{other}” to take all who tie"
        return (
            f"{tied}, so {share.relative.text} takes no customer. Ask for more than {_percent(found.ties, found.known)}"
            f"{by_operator}, or write a number."
        )
    if (found.asked - found.within) * _MATTERS > found.asked:
        return f"It takes fewer than the {found.asked:,} asked for: {tied}, and none of them is in."
    return ""


def _taken_along(share: Share, found: Resolved, write: Writer) -> str:
    if not found.ties:
        return ""
    number = write(rounded(found.number), share.field)
    who = "1 customer" if found.ties == 1 else f"all {found.ties:,} customers"
    return f"“{HOLDS[_WITH_TIES[share.relative.side]]}” also takes {who} at {number}."


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%"
