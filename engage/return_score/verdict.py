"""How well a score ranks customers whom it has not learnt from, and whether it may be used: values alone."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_ODDS = 500.0
"""Odds of e to this power are as good as certain. Their inverse is still a number of Postgres."""
MIN_WINDOWS = 3
"""Windows to learn from, each with a next window whose results are known."""


@dataclass(frozen=True)
class Bin:
    """Customers with about the same score: the returns that the score expected of them, and those that came."""

    customers: int
    expected: float
    actual: float
    """As ``expected``, a share from 0 to 1."""


@dataclass(frozen=True)
class Evaluation:
    """How the score ranks customers of windows that it has not learnt from, beside spend alone; None if unknown."""

    auc: float | None
    auc_static: float | None
    calibration: tuple[Bin, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether the score may be used, and ``why``, or what is missing."""

    in_use: bool
    why: str
