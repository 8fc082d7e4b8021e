"""The return score on a database: learnt from campaigns, gated, and given to the customers of the next one."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from engage.campaigns import history_rebuild, return_models, return_training
from engage.customers import erasure
from engage.reports import return_score
from engage.return_score.evaluation import auc
from engage.steps.aggregate import aggregate
from engage.storage import connection
from engage.storage.schema import campaign, customer_activity, model
from engage.window import Window
from tests.integration.conftest import NOW
from tests.integration.returning import VARIED, compute, model_of, seeded, trained, windows_until

CUSTOMERS = 2500


@pytest.fixture(scope="module")
def past(server):
    """Name of a database with the campaigns of five windows, of customers who differ."""
    with server.clone("extracted") as url:
        engine = connection.connect(url)
        seeded(engine, windows_until(Window.last_complete(NOW), 5), CUSTOMERS, VARIED)
        engine.dispose()
        yield sa.make_url(url).database


@pytest.fixture
def template(past):
    return past


@pytest.fixture
def windows(window):
    return windows_until(window, 5)


@pytest.fixture
def history(world):
    return world


def activity(world, window):
    with world.engine.connect() as conn:
        rows = sa.select(customer_activity).where(customer_activity.c.window_start == window.start)
        return [row._asdict() for row in conn.execute(rows.order_by(customer_activity.c.customer_id))]


def uncompute(world, first):
    """As if this window and later ones were not computed yet."""
    world.execute(sa.update(campaign).where(campaign.c.window_start >= first.start).values(customers=None))


def models(world):
    return world.value(sa.select(sa.func.count()).select_from(model))


def test_a_score_of_customers_who_differ_is_learnt_used_and_given(history, windows):
    found = trained(history).model
    assert (found.windows, found.window) == (4, windows[3])
    assert found.customers == 4 * CUSTOMERS
    assert found.verdict.in_use, found.verdict
    assert found.evaluation.auc > found.evaluation.auc_static + 0.02
    assert activity(history, windows[4])[0]["return_score"] is None
    compute(history.engine, windows[4])
    rows = activity(history, windows[4])
    assert len(rows) == CUSTOMERS
    assert all(0 < row["return_score"] < 1 for row in rows)
    assert model_of(history, windows[4]).model == found


def test_the_database_and_python_give_the_same_score(history, windows):
    found = trained(history).model
    compute(history.engine, windows[4])
    for row in activity(history, windows[4]):
        assert row["return_score"] == pytest.approx(found.score_of(row, windows[4].end), rel=1e-9)


def test_the_percentile_counts_the_customers_with_a_lower_score_and_ties_are_equal(history, windows):
    late = history.customer(customer_id=CUSTOMERS + 1, registered_at=windows[4].end)  # not of this window
    history.sessions(late)
    history.sessions(CUSTOMERS + 2)  # unknown
    trained(history)
    compute(history.engine, windows[4])
    rows = activity(history, windows[4])
    scores = sorted(row["return_score"] for row in rows)
    assert len(set(scores)) < len(scores)  # customers without any event tie
    for row in rows:
        lower = sum(score < row["return_score"] for score in scores)
        assert row["return_percentile"] == pytest.approx(100 * lower / len(rows))


def test_a_customers_score_ranks_the_returns_of_the_next_window(history, windows):
    """Learnt from the windows before only, and held against what came."""
    world = history
    world.execute(sa.delete(model))
    with world.engine.begin() as conn:  # as if the last window were not computed yet
        conn.execute(
            sa.text("UPDATE campaign SET customers = NULL WHERE window_start = :last"), {"last": windows[4].start}
        )
    found = trained(world)
    assert found.model.window == windows[2]
    compute(world.engine, windows[3])
    compute(world.engine, windows[4])
    back = {row["customer_id"]: row["purchases"] > 0 for row in activity(world, windows[4])}
    rows = activity(history, windows[3])
    returned = np.array([back[row["customer_id"]] for row in rows])
    score = auc(np.array([row["return_score"] for row in rows]), returned)
    assert score > auc(np.array([row["total_spend_cents"] for row in rows]), returned) + 0.02


def test_twice_is_the_same_as_once(history, windows):
    first = return_training.train(history.engine, as_of=history.now)
    again = return_training.train(history.engine, as_of=history.now)
    assert (first.new, again.new, again.trained) == (True, False, first.trained)
    assert models(history) == 1
    compute(history.engine, windows[4])
    once = activity(history, windows[4])
    aggregate(history.engine, windows[4])
    assert activity(history, windows[4]) == once


def test_no_score_knows_the_outcome_that_it_foretells(history, windows):
    """Whichever window is computed anew, its model has learnt from earlier windows, with outcomes up to itself."""
    for window in windows[2:]:
        uncompute(history, window)
        trained(history)
        for each in windows:
            compute(history.engine, each)
    assert models(history) == 3
    for window in windows:
        found = model_of(history, window)
        assert found is None or found.model.window.next() <= window
    assert model_of(history, windows[4])


def test_the_newest_training_decides(history, windows):
    used = trained(history)
    with history.engine.begin() as conn:
        worse = used.model.__class__(**vars(used.model) | {"verdict": used.model.verdict.__class__(False, "worse")})
        return_models.add(conn, worse, as_of=history.now)
        assert return_models.to_score(conn, windows[4]) is None
        assert return_score.overview(conn).missing == "worse"
        better = return_models.add(conn, used.model, as_of=history.now.replace(hour=23))
        assert return_models.to_score(conn, windows[4]) == better
        assert return_score.overview(conn).in_use_since == better.trained_at


def test_a_training_comes_once_after_each_campaign(history, windows):
    done = return_training.train_if_due(history.engine, as_of=history.now)
    assert (done.windows, done.in_use, done.skipped) == (4, True, "")
    again = return_training.train_if_due(history.engine, as_of=history.now)
    assert again.skipped == f"The return score has learnt from all windows up to {windows[3]}."
    assert models(history) == 1


def test_a_part_of_many_customers_is_always_the_same(history, monkeypatch):
    monkeypatch.setattr(return_training, "MAX_ROWS", 4000)
    first = trained(history).model
    assert first.customers == pytest.approx(4000, rel=0.1)
    assert trained(history).model == first


def test_erased_customers_teach_nothing(history):
    erasure.forget(history.engine, 17, as_of=history.now)
    assert trained(history).model.customers == 4 * (CUSTOMERS - 1)


def test_a_window_of_an_earlier_version_is_left_out(history, windows):
    history.execute(
        sa.update(customer_activity)
        .where(customer_activity.c.window_start == windows[1].start)
        .values(purchases_to_date=None)
    )
    assert trained(history).model.windows == 3


def test_a_rebuilt_history_leaves_the_numbers_that_explain_a_score(history, windows):
    """The window before is computed anew with a purchase more, as a late event brings it."""
    found = trained(history).model
    compute(history.engine, windows[4])
    history.purchase(1, 500_00, at=windows[3].start)
    compute(history.engine, windows[3])
    before = activity(history, windows[4])
    done = list(history_rebuild.rebuild(history.engine))
    assert [(one.changed, one.kept) for one in done if one.window == windows[4]] == [(0, 1)]
    assert activity(history, windows[4]) == before
    assert before[0]["return_score"] == pytest.approx(found.score_of(before[0], windows[4].end), rel=1e-9)
