"""What the return score says while there is too little to learn from, or nothing to predict."""

from __future__ import annotations

import sqlalchemy as sa

from engage.campaigns import return_training
from engage.reports import return_score
from engage.storage.schema import customer_activity
from tests.integration.returning import VARIED, compute, model_of, seeded, trained, windows_until


def test_customers_who_are_alike_give_nothing_to_predict(world, window):
    seeded(world.engine, windows_until(window, 4), 2500)
    found = trained(world).model
    assert found.windows == 3
    assert not found.verdict.in_use
    compute(world.engine, window)
    assert model_of(world, window) is None
    assert world.rows(sa.select(customer_activity.c.return_score).distinct()) == [(None,)]


def test_without_two_windows_in_a_row_there_is_nothing_to_learn(world):
    world.sessions(world.customer())
    world.computed()
    assert return_training.train(world.engine, as_of=world.now) is None
    assert return_training.train_if_due(world.engine, as_of=world.now).skipped == return_training.NOTHING
    with world.engine.connect() as conn:
        assert return_score.overview(conn).missing == "0 of 3 windows to learn from."


def test_what_is_missing_is_said(world, window):
    seeded(world.engine, windows_until(window, 3), 300, VARIED)
    assert trained(world).model.verdict.why == "2 of 3 windows to learn from."
