"""What a training has learnt, and the score by it: in SQL for a million customers, in Python for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from math import exp
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engage.return_score.features import FEATURES, Feature
from engage.return_score.verdict import LARGEST_ODDS, Bin, Evaluation, Verdict
from engage.window import Window

if TYPE_CHECKING:  # each campaign's task reads a model, and only a training needs numpy
    from engage.return_score.logit import Fit


@dataclass(frozen=True)
class Coefficient:
    """What a feature adds to the logarithm of the odds for each unit, its standard error, and the feature's mean."""

    feature: str
    value: float
    error: float
    mean: float


@dataclass(frozen=True)
class Model:
    """What a training has learnt. ``window``: the newest one whose customers it has learnt from.

    Whether they returned is known from the window after it.
    """

    window: Window
    windows: int
    """Windows that it has learnt from."""
    customers: int
    """Customers that it has learnt from, each once per window."""
    returns: int
    """How many of them bought in the next window."""
    constant: float
    constant_error: float
    coefficients: tuple[Coefficient, ...]
    """Empty if nothing could be learnt."""
    evaluation: Evaluation
    verdict: Verdict

    def odds(self, rows: sa.FromClause, window_end: datetime) -> sa.ColumnElement[float]:
        """The logarithm of the odds of each row of ``customer_activity``."""
        terms = (_number(one.value) * feature.sql(rows, window_end) for one, feature in self.terms)
        return sum(terms, start=_number(self.constant))

    def score(self, rows: sa.FromClause, window_end: datetime) -> sa.ColumnElement[float]:
        """The score of each row of ``customer_activity``, from 0 to 1. The row has every count and amount."""
        odds = sa.func.greatest(
            sa.func.least(self.odds(rows, window_end), _number(LARGEST_ODDS)), _number(-LARGEST_ODDS)
        )
        return _number(1.0) / (_number(1.0) + sa.func.exp(-odds))

    def score_of(self, row: Mapping[str, Any], window_end: datetime) -> float:
        """The score of one row, as ``score`` computes it in the database."""
        odds = self.constant + sum(one.value * feature.value(row, window_end) for one, feature in self.terms)
        return 1 / (1 + exp(-max(-LARGEST_ODDS, min(LARGEST_ODDS, odds))))

    @property
    def terms(self) -> list[tuple[Coefficient, Feature]]:
        """The coefficients that count, each with its feature."""
        return [(one, FEATURES[one.feature]) for one in self.coefficients if one.value]

    def to_columns(self) -> dict[str, Any]:
        """The values of a row of the table ``model``, without its id and time."""
        constant = {"feature": "constant", "value": self.constant, "error": self.constant_error}
        return {
            "window_start": self.window.start,
            "windows": self.windows,
            "customers": self.customers,
            "returns": self.returns,
            "coefficients": [constant, *map(asdict, self.coefficients)],
            "calibration": [asdict(one) for one in self.evaluation.calibration],
            "auc": self.evaluation.auc,
            "auc_static": self.evaluation.auc_static,
            "in_use": self.verdict.in_use,
            "why": self.verdict.why,
        }

    @classmethod
    def from_columns(cls, row: Mapping[str, Any]) -> Model:
        """What ``to_columns`` wrote."""
        constant, *coefficients = row["coefficients"]
        calibration = tuple(Bin(**one) for one in row["calibration"])
        return cls(
            window=Window(row["window_start"]),
            windows=row["windows"],
            customers=row["customers"],
            returns=row["returns"],
            constant=constant["value"],
            constant_error=constant["error"],
            coefficients=tuple(Coefficient(**one) for one in coefficients),
            evaluation=Evaluation(row["auc"], row["auc_static"], calibration),
            verdict=Verdict(row["in_use"], row["why"]),
        )


def coefficients(learnt: Fit) -> tuple[Coefficient, ...]:
    """What was learnt from rows with all ``FEATURES``, in their order."""
    numbers = zip(FEATURES, learnt.coefficients, learnt.errors, learnt.means, strict=True)
    return tuple(Coefficient(name, float(value), float(error), float(mean)) for name, value, error, mean in numbers)


def _number(number: float) -> sa.ColumnElement[float]:
    return sa.literal(number, sa.Double)
