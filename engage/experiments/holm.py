"""Several segments in one campaign: more tests, more false alarms. Holm's correction keeps them at 5% together."""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """The p of each segment, corrected for all of them, in the order given. At most 1, and never below its own p.

    One p stays as it is; none gives an empty list. Raises ``ValueError`` for a p outside of 0 to 1.

    Source: Holm (1979), *A Simple Sequentially Rejective Multiple Test Procedure*; equals statsmodels'
    ``multipletests(method="holm")``.
    """
    if not all(0 <= p <= 1 for p in ps):
        raise ValueError(f"each p must be from 0 to 1: {list(ps)}")
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = largest
    return corrected
