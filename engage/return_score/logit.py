"""Learns the chance of a return from rows of features, by logistic regression.

A feature that says nothing, or that another one says already, gets the coefficient 0. So does one that tells exactly
who returns: its coefficient has no limit (separation).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engage.return_score.verdict import LARGEST_ODDS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_SAME = 1e-7
"""The share of a feature's variance that others must leave to it."""
_LARGEST_ERROR = 10.0
"""Standard error of a coefficient, by a feature's own deviation, beyond which the data do not limit it."""
_ITERATIONS = 50


@dataclass(frozen=True)
class Fit:
    """What was learnt: the logarithm of the odds is ``constant`` plus the sum of ``coefficients`` × features."""

    constant: float
    coefficients: Floats
    """One for each feature, in their order; 0 for one that is left out."""
    constant_error: float
    errors: Floats
    """The coefficients' standard errors; 0 for one that is left out. They allow for a customer in several rows."""
    means: Floats
    """The mean of each feature."""

    def odds(self, features: Floats) -> Floats:
        """The logarithm of the odds of each row, by which rows are ranked."""
        found: Floats = self.constant + features @ self.coefficients
        return found

    def chances(self, features: Floats) -> Floats:
        """The chance of each row."""
        found: Floats = 1 / (1 + np.exp(-np.clip(self.odds(features), -LARGEST_ODDS, LARGEST_ODDS)))
        return found


@dataclass(frozen=True)
class NoFit:
    """Nothing could be learnt, and ``why``, in a sentence for the operator."""

    why: str


def fit(features: Floats, returned: Bools, customers: Integers) -> Fit | NoFit:
    """Learn from rows of ``features`` whether each row ``returned``. ``customers`` says whose row it is."""
    if not np.isfinite(features).all():
        return NoFit("A number of a customer is missing or infinite: `engage history rebuild` computes them anew.")
    if returned.all() or not returned.any():
        who = "Every customer" if len(returned) and returned.all() else "No customer"
        return NoFit(f"{who} bought in the next window, so there is no difference to learn.")
    means, deviations = features.mean(axis=0), features.std(axis=0)
    used = _independent(features, means, deviations)
    while used.any():
        scaled = (features[:, used] - means[used]) / deviations[used]
        found = _newton(scaled, returned, customers)
        if isinstance(found, NoFit):
            return found
        params, covariance, unlimited = found
        if not unlimited.any():
            return _unscaled(params, covariance, used, means, deviations)
        used[np.flatnonzero(used)[unlimited]] = False
    return NoFit("No number differs between customers who return and customers who do not in a way that can be learnt.")


def _independent(features: Floats, means: Floats, deviations: Floats) -> Bools:
    """The features that differ between rows, and that those before them do not add up to."""
    used = deviations > 1e-9 * np.maximum(1.0, np.abs(means))
    scaled = (features[:, used] - means[used]) / deviations[used]
    left = scaled.T @ scaled / len(scaled)  # what each pair of features has in common beside those taken so far
    for place, feature in enumerate(np.flatnonzero(used)):
        if left[place, place] < _SAME:
            used[feature] = False
        else:
            left = left - np.outer(left[:, place], left[place]) / left[place, place]
    return used


def _newton(scaled: Floats, returned: Bools, customers: Integers) -> tuple[Floats, Floats, Bools] | NoFit:
    """The maximum of the likelihood: coefficients, their covariance, and which features the data do not limit."""
    # statsmodels takes two seconds, and only a training needs it
    from statsmodels.discrete.discrete_model import Logit  # noqa: PLC0415
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationError  # noqa: PLC0415

    design = np.column_stack([np.ones(len(scaled)), scaled])
    groups = np.unique(customers, return_inverse=True)[1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConvergenceWarning)  # asked for below
            model = Logit(returned.astype(float), design)
            found = model.fit(disp=0, maxiter=_ITERATIONS)
            plain = np.sqrt(np.diag(found.normalized_cov_params))
            unlimited = ~(plain[1:] <= _LARGEST_ERROR)
            if unlimited.any():
                return found.params, found.normalized_cov_params, unlimited
            robust = model.fit(disp=0, maxiter=_ITERATIONS, cov_type="cluster", cov_kwds={"groups": groups})
            covariance = np.asarray(robust.cov_params())
    except (Warning, PerfectSeparationError, np.linalg.LinAlgError):
        return NoFit(
            "The numbers tell exactly who returns and who does not, so no chance can be learnt. It takes more "
            "customers or windows."
        )
    if not found.mle_retvals["converged"] or not np.isfinite(covariance).all():
        return NoFit("The coefficients do not settle. It takes more customers or windows.")
    return found.params, covariance, unlimited


def _unscaled(params: Floats, covariance: Floats, used: Bools, means: Floats, deviations: Floats) -> Fit:
    """The fit in the features' own scale."""
    back = np.diag(np.concatenate([[1.0], 1 / deviations[used]]))
    back[0, 1:] = -means[used] / deviations[used]
    own, errors = back @ params, np.sqrt(np.diag(back @ covariance @ back.T))
    coefficients, of_features = np.zeros(len(used)), np.zeros(len(used))
    coefficients[used], of_features[used] = own[1:], errors[1:]
    return Fit(float(own[0]), coefficients, float(errors[0]), of_features, means)
