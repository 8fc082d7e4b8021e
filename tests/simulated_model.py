"""A return score learnt from simulated customers, for pages that show one."""

from __future__ import annotations

import numpy as np

from engage.campaigns import return_training
from engage.return_score.evaluation import Rows
from engage.return_score.features import FEATURES
from engage.return_score.model import Model
from engage.window import Window

_EFFECTS = {"purchases_to_date": 1.5, "sessions": 0.5, "days_since_last_purchase": -0.3}


def simulated_rows(seed: int, count: int = 2000) -> Rows:
    """Customers whose purchases, sessions and time since the last purchase say whether they return."""
    random = np.random.default_rng(seed)
    features = np.log1p(random.gamma(1.5, 20, (count, len(FEATURES))))
    odds = sum(effect * (features[:, list(FEATURES).index(name)] - 3) for name, effect in _EFFECTS.items())
    returned = random.random(count) < 1 / (1 + np.exp(-odds))
    return Rows(features, random.integers(0, 9999, count), returned, np.arange(count))


def simulated_model(window: Window) -> Model:
    """A model that may be used. ``window``: the newest one that it claims to have learnt from."""
    rows = [simulated_rows(seed) for seed in range(3)]
    return return_training.learnt([window] * len(rows), rows)
