"""Tests the return score on windows that it has not learnt from, and decides whether it may be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engage import formats
from engage.return_score.logit import Bools, Fit, Floats, Integers, NoFit, fit
from engage.return_score.verdict import MIN_WINDOWS, Bin, Evaluation, Verdict

MIN_CUSTOMERS = 500
"""Customers who returned, and customers who did not."""
MIN_GAIN = 0.02
"""By which the AUC has to be above that of spend alone."""
TESTED = 2
"""Windows at the end on which the score is tested."""
BINS = 10


@dataclass(frozen=True)
class Rows:
    """The customers of one window: their features, their spend there, and whether they bought in the next window."""

    features: Floats
    spend: Integers
    returned: Bools
    customers: Integers
    """Their ids."""


def auc(scores: Floats | Integers, returned: Bools) -> float | None:
    """The chance that a customer who returns has a higher score than one who does not; a tie counts half.

    None if all return, or none. Source: Hanley and McNeil (1982), *The Meaning and Use of the Area under a ROC Curve*;
    it is the statistic of Mann and Whitney divided by the number of pairs.
    """
    positives = int(returned.sum())
    negatives = len(returned) - positives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[returned].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def calibration(chances: Floats, returned: Bools) -> tuple[Bin, ...]:
    """Ten bins of as many customers each, from the lowest chance to the highest."""
    order = np.argsort(chances, kind="stable")
    parts = (part for part in np.array_split(order, BINS) if len(part))
    return tuple(Bin(len(part), float(chances[part].mean()), float(returned[part].mean())) for part in parts)


def pooled(windows: Sequence[Rows]) -> Rows:
    """The rows of several windows as one."""
    return Rows(
        np.concatenate([one.features for one in windows]),
        np.concatenate([one.spend for one in windows]),
        np.concatenate([one.returned for one in windows]),
        np.concatenate([one.customers for one in windows]),
    )


def learn(windows: Sequence[Rows]) -> Fit | NoFit:
    """Learn from all rows of these windows."""
    rows = pooled(windows)
    return fit(rows.features, rows.returned, rows.customers)


def evaluate(windows: Sequence[Rows]) -> Evaluation:
    """Test on each of the last two windows what the windows before it teach. The AUC is the mean of both.

    ``windows`` go from the oldest to the newest.
    """
    tests = [trial(windows, place) for place in range(max(1, len(windows) - TESTED), len(windows))]
    found = [one for one in tests if one]
    if not found or len(found) < len(tests):
        return Evaluation(None, None, ())
    of_score, of_spend = (np.array([pair[side] for pair, _, _ in found], float) for side in (0, 1))
    chances, returned = (np.concatenate([one[side] for one in found]) for side in (1, 2))
    return Evaluation(float(of_score.mean()), float(of_spend.mean()), calibration(chances, returned))


def trial(windows: Sequence[Rows], place: int) -> tuple[tuple[float, float], Floats, Bools] | None:
    """The AUC of the score and of spend alone in one window, by what the windows before it teach; with it the chances.

    None if nothing could be learnt, or there is no difference to find.
    """
    learnt, rows = learn(windows[:place]), windows[place]
    if isinstance(learnt, NoFit):
        return None
    of_score, of_spend = auc(learnt.odds(rows.features), rows.returned), auc(rows.spend, rows.returned)
    if of_score is None or of_spend is None:
        return None
    return (of_score, of_spend), learnt.chances(rows.features), rows.returned


def verdict(windows: Sequence[Rows], found: Evaluation) -> Verdict:
    """Whether what was learnt from these windows may be used."""
    returns = sum(int(one.returned.sum()) for one in windows)
    others = sum(len(one.returned) for one in windows) - returns
    if len(windows) < MIN_WINDOWS:
        return Verdict(False, f"{len(windows)} of {formats.counted(MIN_WINDOWS, 'window')} to learn from.")
    for count, who in ((returns, "bought in the next window"), (others, "did not buy in the next window")):
        if count < MIN_CUSTOMERS:
            return Verdict(False, f"{formats.number(count)} of {MIN_CUSTOMERS} customers who {who}.")
    if found.auc is None or found.auc_static is None:
        return Verdict(False, "The score could not be tested: the windows before the last two teach no difference.")
    beside = f"{found.auc:.2f} beside {found.auc_static:.2f}"
    if found.auc < found.auc_static + MIN_GAIN:
        return Verdict(False, f"The score is not better than spend alone: {beside}. It takes {MIN_GAIN} more.")
    return Verdict(True, f"The score is better than spend alone: {beside}.")
