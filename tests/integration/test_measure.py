"""What ``measure`` keeps of a campaign: the arms by segment and text, and what they did in the next window."""

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from engage.campaigns import measured_arms
from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.customers.profile import opt_out
from engage.sending import queue, sender
from engage.sending.sender import SendingContext
from engage.statuses import ExperimentArm
from engage.steps.aggregate import aggregate
from engage.steps.measure import measure
from engage.storage.schema import campaign_lift, message
from engage.window import Window

CUSTOMERS = 60
SETTINGS = {"holdout_percent": "40", "low_spend_threshold": "50", "high_activity_threshold": "0.3"}


@pytest.fixture
def earlier(world, in_window):
    """The campaign that is measured: some customers in BOOST, some in REWARD, and a holdout of 40%."""
    before = in_window(world.window.previous())
    rng = np.random.default_rng(7)
    for _ in range(CUSTOMERS):
        customer_id = world.customer(registered_at="2025-01-06")
        did(before, customer_id, rng)
    did(before, world.customer(registered_at="2025-01-06", consent_at=None), rng)  # in no arm
    return before


def did(world, customer_id, rng):
    world.sessions(customer_id, int(rng.poisson(3)) + 1)
    for cents in rng.integers(1, 9000, rng.poisson(1.2)):
        world.purchase(customer_id, int(cents))


@pytest.fixture
def sent(earlier, world):
    """It was texted, and its customers did something in the next window."""
    earlier.computed(**SETTINGS)
    earlier.message()
    rng = np.random.default_rng(8)
    for customer_id in range(1, CUSTOMERS + 1):
        did(world, customer_id, rng)
    return earlier


def aggregated(world):
    world.sessions(CUSTOMERS)
    world.extract()
    aggregate(world.engine, world.window)
    return world


def measured(world, **values):
    return measure(world.engine, world.window, as_of=values.get("as_of", world.now)).measured


def arms(world, window):
    with world.engine.connect() as conn:
        return {(one.segment, one.arm, one.variant): one for one in measured_arms.of_windows(conn, [window])[window]}


def by_customer(world, column, window):
    query = f"SELECT customer_id, {column} FROM customer_activity WHERE window_start = '{window.start.isoformat()}'"
    return {customer_id: float(value or 0) for customer_id, value in world.rows(query)}


def members(world, window):
    found = {}
    query = sa.select(message.c.bucket, message.c.arm, message.c.variant, message.c.customer_id)
    for bucket, arm, variant, id_ in world.rows(
        query.where(message.c.window_start == window.start, message.c.arm.is_not(None))
    ):
        found.setdefault((bucket, arm, variant or ""), []).append(id_)
    return found


def test_each_arm_has_its_customers_buyers_means_and_covariances(sent, world, in_window):
    first = in_window(sent.window.previous())
    rng = np.random.default_rng(9)
    for customer_id in range(1, CUSTOMERS + 1):
        did(first, customer_id, rng)
    first.computed()
    sent.execute(sa.text("UPDATE campaign SET frozen_at = null WHERE window_start = :start").bindparams(
        start=sent.window.start))  # fmt: skip
    sent.computed(**SETTINGS)  # with what the window before knows
    sent.message()
    aggregated(world)
    expected = members(world, sent.window)
    assert measured(world) == {str(sent.window): sum(map(len, expected.values()))}
    found = arms(world, sent.window)
    assert found.keys() == expected.keys()
    assert {arm for _, arm, _ in found} == {ExperimentArm.TEXTED, ExperimentArm.HOLDOUT}
    assert {segment for segment, _, _ in found} == {"BOOST", "REWARD"}
    bought = by_customer(world, "purchases", world.window)
    for kind, name in (("total_spend_cents", "spend"), ("sessions", "sessions")):
        columns = [
            *(by_customer(world, kind, one) for one in (world.window, sent.window, first.window)),
            by_customer(world, f"previous_{kind}", first.window),
        ]
        for key, ids in expected.items():
            rows = np.array([[column[id_] for column in columns] for id_ in ids])
            one = found[key]
            assert one.buyers.customers == len(ids)
            assert one.buyers.bought == sum(bought[id_] > 0 for id_ in ids)
            np.testing.assert_allclose(getattr(one, name).means, rows.mean(axis=0))
            np.testing.assert_allclose(getattr(one, name).covariances, np.cov(rows.T, ddof=1), atol=1e-6)


def test_twice_is_the_same_as_once(sent, world):
    aggregated(world)
    assert measured(world)
    before = world.dump("campaign_lift")
    assert measured(world)
    assert world.dump("campaign_lift") == before


def test_a_window_that_was_aggregated_anew_is_measured_anew(sent, world):
    aggregated(world)
    measured(world)
    before = arms(world, sent.window)
    world.purchase(members(world, sent.window)["BOOST", "texted", "a"][0], 123_45)
    aggregate(world.engine, world.window)
    measured(world)
    after = arms(world, sent.window)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {("BOOST", "texted", "a")}


def test_who_opted_out_before_the_claim_counts_in_the_arm_that_was_drawn(earlier, world):
    earlier.computed(**SETTINGS)
    queue.build(earlier.engine, earlier.window, options=RunOptions(), as_of=earlier.now)
    expected = members(world, earlier.window)
    with world.engine.begin() as conn:
        for id_ in expected["BOOST", "texted", "a"][:5]:
            opt_out(conn, id_, as_of=earlier.now)
    sender.send(earlier.engine, earlier.window, SendingContext(lambda: earlier.now))
    aggregated(world)
    measured(world)
    found = arms(world, earlier.window)
    assert {key: one.buyers.customers for key, one in found.items()} == {k: len(ids) for k, ids in expected.items()}


def test_an_erased_customer_counts_as_one_who_did_nothing(sent, world):
    gone = members(world, sent.window)["BOOST", "texted", "a"][0]
    world.purchase(gone, 5000)
    erasure.forget(world.engine, gone, as_of=world.now)
    aggregated(world)
    measured(world)
    ids = [id_ for id_ in members(world, sent.window)["BOOST", "texted", "a"] if id_ > 0]
    bought = by_customer(world, "purchases", world.window)
    one = arms(world, sent.window)["BOOST", "texted", "a"]
    assert (one.buyers.customers, one.buyers.bought) == (len(ids) + 1, sum(bought[id_] > 0 for id_ in ids))


@pytest.mark.parametrize("why", ["no holdout", "not texted", "dry run", "texted after the next window", "no campaign"])
def test_there_is_nothing_to_measure(earlier, world, why):
    settings = SETTINGS | ({"holdout_percent": "0"} if why == "no holdout" else {})
    if why != "no campaign":
        earlier.computed(**settings)
    if why == "no holdout":
        earlier.message()
    if why == "dry run":
        earlier.message(dry_run=True)
    if why == "texted after the next window":
        earlier.now = world.window.end
        earlier.message(send_late=True)
    aggregated(world)
    assert measured(world) == {}
    assert world.rows(sa.select(campaign_lift)) == []


def test_texts_in_the_last_moment_of_the_next_window_are_measured(earlier, world):
    earlier.computed(**SETTINGS)
    earlier.now = world.window.end - timedelta(microseconds=1)
    earlier.message(send_late=True)
    aggregated(world)
    assert list(measured(world)) == [str(earlier.window)]


def test_the_next_window_must_be_aggregated(sent, world):
    world.extract()
    assert measured(world) == {}


def test_an_earlier_campaign_that_was_left_out_is_measured_too_and_only_once(sent, world, in_window):
    aggregated(world)
    later = in_window(world.window.next())
    later.now = world.window.next().end + timedelta(days=1)
    aggregated(later)
    assert list(measured(later)) == [str(sent.window)]
    assert measured(later) == {}
    assert list(measured(world)) == [str(sent.window)]


def test_it_does_not_wait_for_bucket(sent, world):
    from engage.campaigns import campaign

    aggregated(world)
    with campaign.step(world.engine, world.window, "bucket"):
        assert list(measured(world)) == [str(sent.window)]


def test_windows_after_the_last_are_no_matter(world):
    assert measure(world.engine, Window(world.window.start), as_of=world.now).measured == {}
