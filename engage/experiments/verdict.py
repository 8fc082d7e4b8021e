"""What may be said about a lift: more, less, not shown, too few to tell, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engage.experiments.lift import LEVEL, Lift
from engage.experiments.power import ENOUGH_BUYERS, holdout_for_buyers
from engage.experiments.sample_ratio import is_mismatch
from engage.experiments.share_lift import Buyers


class Finding(StrEnum):
    """The verdict in one word."""

    MORE = "more"
    LESS = "less"
    NOT_SHOWN = "not_shown"
    """The texts may have done nothing. The interval says how much they may have done at most."""
    TOO_FEW = "too_few"
    """Too few to tell: no interval would be honest."""
    UNSOUND = "unsound"
    """An arm lost or gained customers, so the arms cannot be compared."""


@dataclass(frozen=True)
class Verdict:
    """A finding, and the numbers that may be shown with it."""

    finding: Finding
    lift: Lift | None = None
    """None if too few or unsound."""
    p: float | None = None
    """The p that decided: corrected for several segments, if it was given."""
    holdout_needed: float | None = None
    """If too few to tell of spend: the share of customers that would do as the holdout. None if none would."""


def verdict(lift: Lift | None, *, sample_ratio_p: float | None, corrected_p: float | None = None) -> Verdict:
    """What may be said about a lift in sessions or in the share that bought again.

    ``corrected_p`` is Holm's, over the campaign's segments. The interval is not corrected: with several segments it
    can leave out 0 while the finding is ``NOT_SHOWN``. No lift (an arm without customers) is too few.
    """
    if is_mismatch(sample_ratio_p):
        return Verdict(Finding.UNSOUND)
    if lift is None:
        return Verdict(Finding.TOO_FEW)
    p = lift.p if corrected_p is None else corrected_p
    if p >= 1 - LEVEL:
        return Verdict(Finding.NOT_SHOWN, lift, p)
    return Verdict(Finding.MORE if lift.difference > 0 else Finding.LESS, lift, p)


def spend_verdict(
    lift: Lift | None,
    texted: Buyers,
    holdout: Buyers,
    *,
    sample_ratio_p: float | None,
    corrected_p: float | None = None,
) -> Verdict:
    """The same for spend, which says nothing while the smaller arm has fewer than 100 buyers.

    Then it gives the holdout that would do. With fewer buyers, a few large purchases decide, and a 95% interval covers
    the truth too seldom (``benchmarks/coverage.py`` measures it).
    """
    found = verdict(lift, sample_ratio_p=sample_ratio_p, corrected_p=corrected_p)
    if found.finding is Finding.UNSOUND or (lift and min(texted.bought, holdout.bought) >= ENOUGH_BUYERS):
        return found
    everyone = Buyers(texted.customers + holdout.customers, texted.bought + holdout.bought)
    return Verdict(Finding.TOO_FEW, holdout_needed=holdout_for_buyers(everyone.customers, everyone.share))
