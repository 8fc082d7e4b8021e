"""Campaigns of several windows in a row, whose customers return or not, and what a training makes of them."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from engage.campaigns import return_models, return_training
from engage.campaigns.return_models import Trained
from engage.customers.synthetic import TYPICAL, Behaviour
from engage.steps.seed import seed
from engage.window import Window
from tests.integration.conftest import KEY, World

VARIED = Behaviour(varied=True, sessions_per_week=1.0, purchases_per_week=0.15)
"""Customers who differ: some buy often, most seldom, and many drop out for good."""


def windows_until(last: Window, number: int) -> list[Window]:
    """So many windows, the oldest first."""
    found = [last]
    while len(found) < number:
        found.insert(0, found[0].previous())
    return found


def compute(engine: sa.Engine, window: Window, **settings: object) -> None:
    """Run a window's campaign up to its buckets, as on the day after it."""
    World(engine, window, now=window.end + timedelta(days=1)).computed(**settings)


def seeded(engine: sa.Engine, windows: list[Window], customers: int, behaviour: Behaviour = TYPICAL) -> None:
    """Synthetic customers in each of the windows, and the campaigns of these."""
    for window in windows:
        seed(engine, window, customers, 7, hash_key=KEY, behaviour=behaviour)
        compute(engine, window)


def trained(world: World) -> Trained:
    """What a training learns now."""
    done = return_training.train(world.engine, as_of=world.now)
    assert done
    return done.trained


def model_of(world: World, window: Window) -> Trained | None:
    """The training by which a campaign's customers are scored."""
    with world.engine.connect() as conn:
        [(model_id,)] = world.rows(f"SELECT model_id FROM campaign WHERE window_start = '{window.start.isoformat()}'")
        return None if model_id is None else return_models.find(conn, model_id)
