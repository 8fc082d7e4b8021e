"""The colours of segments. A page shows a segment's name beside its colour, so that the colour alone says nothing.

The names are classes of ``tokens.css``: the tone ``boost`` is the class ``tone-boost``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

OWN = {"BOOST": "boost", "REWARD": "reward"}
"""Segments whose colour does not depend on the order."""
REST = "rest"
"""The grey of the customers who are in no other segment."""
FURTHER = tuple(f"segment_{n}" for n in range(1, 21))
"""The tones of all others, in order: ten colours, and then the same ones nearer to the colour of the text."""


def tones(*lists: Sequence[str]) -> dict[str, str]:
    """The tone of each segment, in the order in which a page shows them.

    ``lists``: the names of each campaign's segments, ``otherwise`` last; the newest campaign first. Its order counts,
    and segments that only older campaigns have follow.
    """
    named = _unique(name for names in lists for name in names[:-1])
    otherwise = _unique(names[-1] for names in lists if names)
    newest = lists[0] if lists else ()
    named = [name for name in named if name not in newest[-1:]]
    found = {name: OWN[name] for name in named if name in OWN}
    further = [name for name in named if name not in OWN]
    found |= {name: FURTHER[n % len(FURTHER)] for n, name in enumerate(further)}
    in_order = {name: found[name] for name in named}
    return in_order | {name: REST for name in otherwise if name not in in_order}


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
