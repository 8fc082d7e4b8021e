"""Seeding customers who vary, and an effect of the texts of the window before."""

from __future__ import annotations

from collections import Counter

import pytest
import sqlalchemy as sa

from engage.customers.synthetic import BEHAVIOURS, BehaviourName
from engage.errors import InputError, SeedRefused
from engage.steps.seed import seed

KEY = b"k" * 32
VARIED = BEHAVIOURS[BehaviourName.VARIED]
CUSTOMERS = 4000
DOUBLE = {"BOOST": 2.0}


@pytest.fixture
def template():
    return "installed"


def run(world, *, customers=CUSTOMERS, rng_seed=7, **options):
    options = {"behaviour": VARIED} | options
    return seed(world.engine, world.window, customers, rng_seed, hash_key=KEY, **options)


@pytest.fixture
def texted(world):
    """A window of customers who vary, with a fifth held out."""
    run(world)
    world.computed(holdout_percent="20")
    world.message()
    return world


@pytest.fixture
def after(texted, in_window):
    """The next window."""
    return in_window(texted.window.next())


def events(world):
    """The window's purchases and sessions by customer, each a sorted list of rows."""
    found = {}
    for table, time in (("purchase", "purchased_at"), ("app_session", "started_at")):
        rows = world.rows(
            f"SELECT * FROM {table} WHERE {time} >= '{world.window.start.isoformat()}' "
            f"AND {time} < '{world.window.end.isoformat()}'"
        )
        found[table] = {}
        for row in rows:
            found[table].setdefault(row[0], []).append(row)
    return {table: {one: sorted(rows) for one, rows in of.items()} for table, of in found.items()}


def arms(world):
    """Customers of the window's campaign by segment, and arm or reason."""
    query = (
        "SELECT customer_id, bucket, CASE WHEN accepted_at IS NOT NULL THEN 'texted' ELSE coalesce(arm, reason) END "
        f"FROM message WHERE window_start = '{world.window.start.isoformat()}'"
    )
    found = {}
    for customer_id, bucket, arm in world.rows(query):
        found.setdefault((bucket, arm), set()).add(customer_id)
    return found


def test_an_effect_multiplies_the_purchases_of_the_texted_of_its_segment_only(texted, after):
    run(after)
    without = events(after)
    summary = run(after, effects=DOUBLE)
    found, groups = events(after), arms(texted)
    affected = groups["BOOST", "texted"]
    assert summary.affected == len(affected) > 1500
    assert summary.purchases == sum(map(len, found["purchase"].values()))
    assert found["app_session"] == without["app_session"]
    changed = {one for one in range(1, CUSTOMERS + 1) if found["purchase"].get(one) != without["purchase"].get(one)}
    assert changed <= affected
    bought, would_have = (
        sum(len(of.get(one, [])) for one in affected) for of in (found["purchase"], without["purchase"])
    )
    assert bought / would_have == pytest.approx(2, abs=4 * (2 / would_have) ** 0.5)
    # the groups are there, so that the comparison above is one
    for group in [("BOOST", "holdout"), ("REWARD", "texted"), ("REWARD", "holdout"), ("BOOST", "opted_out"),
                  ("BOOST", "no_phone")]:  # fmt: skip
        assert groups[group], group


def test_each_segment_has_the_effect_of_its_own(texted, after):
    run(after)
    without = events(after)["purchase"]
    run(after, effects={"BOOST": 0.0, "REWARD": 3.0})
    found, groups = events(after)["purchase"], arms(texted)
    assert not groups["BOOST", "texted"] & set(found)
    rewarded, would_have = (sum(len(of.get(one, [])) for one in groups["REWARD", "texted"]) for of in (found, without))
    assert rewarded / would_have == pytest.approx(3, abs=4 * (6 / would_have) ** 0.5)
    assert {one: found.get(one) for one in groups["BOOST", "holdout"]} == {
        one: without.get(one) for one in groups["BOOST", "holdout"]
    }


def test_twice_is_the_same_as_once(after):
    first = run(after, effects=DOUBLE)
    before = after.dump("customer", "app_session", "purchase")
    assert run(after, effects=DOUBLE) == first
    assert after.dump("customer", "app_session", "purchase") == before


def test_a_message_that_the_provider_did_not_accept_has_no_effect(texted, after):
    run(after)
    without = events(after)["purchase"]
    bought = next(one for one in sorted(arms(texted)["BOOST", "texted"]) if len(without.get(one, [])) > 3)
    texted.execute(sa.text("UPDATE message SET accepted_at = NULL WHERE customer_id = :one").bindparams(one=bought))
    summary = run(after, effects={"BOOST": 0.0})
    found = events(after)["purchase"]
    assert found[bought] == without[bought]
    assert summary.affected == len(arms(texted)["BOOST", "texted"]) - 1


def test_a_text_outside_the_experiment_has_no_effect(texted, after):
    """It has no arm, as those of versions without arms."""
    one = min(arms(texted)["BOOST", "texted"])
    with texted.engine.begin() as conn:
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))  # a trigger keeps arms as they are
        conn.execute(sa.text("UPDATE message SET arm = NULL, variant = NULL WHERE customer_id = :one"), {"one": one})
    assert run(after, effects=DOUBLE).affected == len(arms(texted)["BOOST", "texted"]) - 1


def test_customers_who_join_later_are_not_affected(texted, after):
    summary = run(after, customers=CUSTOMERS + 500, effects=DOUBLE)
    assert (summary.customers, summary.affected) == (CUSTOMERS + 500, len(arms(texted)["BOOST", "texted"]))


def test_an_effect_of_fewer_customers_counts_those_only(texted, after):
    affected = {one for one in arms(texted)["BOOST", "texted"] if one <= 100}
    assert run(after, customers=100, effects=DOUBLE).affected == len(affected) > 20


def test_without_an_effect_no_customer_is_affected(after):
    assert run(after).affected == run(after, behaviour=BEHAVIOURS[BehaviourName.PLAIN]).affected == 0


def test_rates_persist_from_window_to_window_in_the_database(texted, after):
    run(after)
    query = "SELECT corr(a.sessions, b.sessions) FROM {} a JOIN {} b USING (customer_id)"
    counted = [
        f"(SELECT c.customer_id, count(s.customer_id) AS sessions FROM customer c LEFT JOIN app_session s "
        f"ON s.customer_id = c.customer_id AND s.started_at >= '{one.window.start.isoformat()}' "
        f"AND s.started_at < '{one.window.end.isoformat()}' GROUP BY 1)"
        for one in (texted, after)
    ]
    assert texted.value(query.format(*counted)) > 0.9


def test_a_seed_of_customers_who_vary_writes_what_it_reports(world):
    summary = run(world)
    assert summary.customers == world.value("SELECT count(*) FROM customer") == CUSTOMERS
    assert summary.sessions == world.value("SELECT count(*) FROM app_session")
    assert summary.purchases == world.value("SELECT count(*) FROM purchase")
    often = Counter(row[0] for row in world.rows("SELECT customer_id FROM purchase"))
    assert 0.3 < len(often) / CUSTOMERS < 0.7  # the others have dropped out, or buy hardly ever


# --- errors


def untouched(world, **options):
    """The sentence with which a seed refuses, and has changed nothing."""
    before = world.dump("customer", "app_session", "purchase")
    with pytest.raises(SeedRefused) as refused:
        run(world, **options)
    assert world.dump("customer", "app_session", "purchase") == before
    return str(refused.value)


def test_an_effect_without_a_campaign_before_says_what_to_run_first(world):
    run(world)
    before = world.window.previous()
    assert untouched(world, effects=DOUBLE) == (
        f"There is no texted customer of BOOST for its effect to act on: the campaign of the window before, {before}, "
        "has texted customers of no segment. Nothing was changed. Text that window first, for example with `engage run "
        f"--window-start {before.start:%Y-%m-%d} --send-late --set holdout_percent=10`, or seed without this effect."
    )


def test_an_effect_of_an_unknown_segment_names_those_that_were_texted(after):
    assert "of BOSST for its effect" in (sentence := untouched(after, effects={"BOOST": 1.1, "BOSST": 1.1}))
    assert "has texted customers only of BOOST, REWARD." in sentence


def test_a_campaign_that_texted_no_customer_has_no_effect(world, in_window):
    run(world)
    world.computed(holdout_percent="20")
    world.message(dry_run=True)
    assert "of no segment" in untouched(in_window(world.window.next()), effects=DOUBLE)


def test_an_effect_on_plain_customers_is_refused(after):
    with pytest.raises(InputError, match="Add --behaviour varied, or leave out the effect"):
        run(after, behaviour=BEHAVIOURS[BehaviourName.PLAIN], effects=DOUBLE)


def test_a_frozen_campaign_keeps_its_events_whatever_the_effect(texted):
    before = texted.dump("app_session", "purchase")
    summary = run(texted, effects=DOUBLE)
    assert (summary.frozen, summary.affected) == (True, 0)
    assert texted.dump("app_session", "purchase") == before
