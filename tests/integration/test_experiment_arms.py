"""The arms of an experiment: who is held out, who is texted, and that each customer stays in the arm that was drawn."""

import hashlib

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.customers.profile import opt_out
from engage.sending import queue, sender
from engage.storage.schema import customer, message
from engage.window import Window

LANDLINE = "+442079460000"
SHARED = "+999000000"


def queued(world, **options):
    return queue.build(world.engine, world.window, options=RunOptions(**options), as_of=world.now)


def bought(world, customers, **values):
    for _ in range(customers):
        world.purchase(world.customer(**values), 100)


def arms(world):
    return dict(world.rows(sa.select(message.c.customer_id, message.c.arm)))


def drawn(window, phone_hash, percent):
    """The draw as documented, in Python."""
    digest = hashlib.sha256(f"{window.start:%Y-%m-%d}/{phone_hash.hex()}".encode()).digest()
    return int.from_bytes(digest[:3], "big") < int(percent * 2**24 / 100)


def test_the_holdout_is_the_documented_one_and_the_same_every_time(world):
    bought(world, 300)
    world.computed(holdout_percent="20")
    queued(world)
    phones = world.rows(sa.select(customer.c.customer_id, customer.c.phone_hash))
    expected = {n: "holdout" if drawn(world.window, phone, 20) else "texted" for n, phone in phones}
    assert arms(world) == expected
    assert 30 < list(expected.values()).count("holdout") < 90
    held_out = {n for n, fate in world.ledger().items() if fate == "skipped/holdout"}
    assert held_out == {n for n, arm in expected.items() if arm == "holdout"}
    before = world.dump("message")
    queued(world)
    assert world.dump("message") == before


def test_another_campaign_holds_out_others_and_a_larger_share_keeps_those_of_a_smaller_one(window):
    def chosen(window, percent):
        return {n for n in range(1000) if drawn(window, n.to_bytes(32), percent)}

    assert chosen(window, 10) < chosen(window, 30)
    assert chosen(window, 10) != chosen(Window(window.start).previous(), 10)


@pytest.mark.parametrize(
    ("percent", "fate", "arm", "variant"),
    [("0", "accepted", "texted", "a"), ("100", "skipped/holdout", "holdout", None)],
)
def test_none_or_all_are_held_out(world, percent, fate, arm, variant):
    bought(world, 5)
    world.computed(holdout_percent=percent)
    world.message()
    assert set(world.ledger().values()) == {fate}
    assert set(world.rows(sa.select(message.c.arm, message.c.variant))) == {(arm, variant)}


@pytest.mark.parametrize(
    ("values", "settings", "fate"),
    [
        ({"consent_at": None}, {}, "skipped/no_consent"),
        ({"phone": LANDLINE}, {"sandbox_strict": "true"}, "skipped/not_mobile"),
        ({"phone": "+9991"}, {"sandbox_strict": "true"}, "skipped/invalid_phone"),
    ],
)
@pytest.mark.parametrize("percent", ["0", "100"])
def test_a_customer_who_cannot_be_texted_is_in_no_arm(world, values, settings, fate, percent):
    bought(world, 1, **values)
    world.computed(holdout_percent=percent, **settings)
    world.message()
    assert world.ledger() == {1: fate}
    assert world.rows(sa.select(message.c.arm, message.c.variant)) == [(None, None)]


def test_customers_who_share_a_phone_are_held_out_together_and_count_once(world):
    for _ in range(40):
        bought(world, 2, phone=f"{SHARED}{next(world.ids):03}")
    world.computed(holdout_percent="50")
    world.message()
    ledger = world.ledger()
    pairs = world.rows("SELECT array_agg(customer_id ORDER BY customer_id) FROM customer GROUP BY phone_hash")
    fates = {(ledger[first], ledger[second]) for [(first, second)] in pairs}
    assert fates == {("accepted", "skipped/duplicate_phone"), ("skipped/holdout", "skipped/duplicate_phone")}
    assert {arms(world)[second] for [(_, second)] in pairs} == {None}


def test_a_campaign_that_texts_no_customer_has_no_arms(world):
    bought(world, 3)
    world.computed(holdout_percent="50")
    queued(world, backfill=True)
    assert set(world.ledger().values()) == {"skipped/backfill"}
    assert set(arms(world).values()) == {None}


def test_an_opt_out_after_the_draw_stays_in_its_arm(world):
    bought(world, 30)
    world.computed(holdout_percent="50")
    queued(world)
    before = arms(world)
    for customer_id in before:
        with world.engine.begin() as conn:
            opt_out(conn, customer_id, as_of=world.now)
    sender.send(world.engine, world.window, sender.SendingContext(lambda: world.now))
    assert set(world.ledger().values()) == {"skipped/opted_out", "skipped/holdout"}
    assert arms(world) == before
    assert set(before.values()) == {"texted", "holdout"}


def test_an_erased_customer_stays_in_the_arm_under_another_id(world):
    bought(world, 1)
    world.computed()
    world.message()
    erasure.forget(world.engine, 1, as_of=world.now)
    assert [
        (id_ < 0, arm, variant)
        for id_, arm, variant in world.rows(sa.select(message.c.customer_id, message.c.arm, message.c.variant))
    ] == [(True, "texted", "a")]


@pytest.mark.parametrize("arm", ["holdout", None])
def test_the_database_refuses_another_arm(world, arm):
    bought(world, 1)
    world.computed()
    queued(world)
    with pytest.raises(sa.exc.IntegrityError, match="customer 1 is in the group texted and stays in it"):
        world.execute(sa.update(message).values(arm=arm))
