"""Several texts for one segment: who is drawn for which, what is sent, and how the shares move between campaigns."""

import hashlib
import json
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage import settings
from engage.campaigns import campaign, measured_arms
from engage.campaigns.measured_arms import MeasuredArm
from engage.campaigns.run_options import RunOptions
from engage.experiments.arm import Arm
from engage.experiments.share_lift import Buyers
from engage.sending import queue
from engage.statuses import ExperimentArm
from engage.storage import schema
from engage.storage.schema import customer, message
from engage.texts.phone import phone_hash
from engage.window import Window
from tests.integration.conftest import KEY

A, B, C = "Text a. Reply STOP.", "Text b. Reply STOP.", "Text c. Reply STOP."
A_ES, B_ES = "Texto a. Responde STOP.", "Texto b. Responde STOP."
BOTH = {"BOOST": {"a": {"es": A_ES}, "b": {"default": B, "es": B_ES}}}
TEXTS = {"message_boost": A, "messages": json.dumps(BOTH)}


def add(world, customers, **values):
    """Customers who bought little."""
    rows = [
        {
            "customer_id": id_,
            "phone": f"+999{id_:09}",
            "phone_hash": phone_hash(f"+999{id_:09}", KEY),
            "registered_at": world.window.start - timedelta(days=30),
            "consent_at": world.window.start - timedelta(days=30),
            "consent_source": "app",
            **values,
        }
        for id_ in (next(world.ids) for _ in range(customers))
    ]
    world.execute(sa.insert(customer), rows)
    world.purchase(rows[0]["customer_id"], 100)


def queued(world, **options):
    return queue.build(world.engine, world.window, options=RunOptions(**options), as_of=world.now)


def drawn(world):
    query = sa.select(message.c.customer_id, message.c.variant).where(message.c.window_start == world.window.start)
    return dict(world.rows(query.where(message.c.status != "skipped")))


def kept(world, segment="BOOST"):
    query = sa.select(schema.campaign.c.variants).where(schema.campaign.c.window_start == world.window.start)
    return world.value(query)[segment]


def documented(world, weights, segment_number=3):
    """The draw as documented, in Python."""
    found = {}
    for id_, hashed in world.rows(sa.select(customer.c.customer_id, customer.c.phone_hash)):
        digest = hashlib.sha256(f"{world.window.start:%Y-%m-%d}/{hashed.hex()}".encode()).digest()
        number, end = int.from_bytes(digest[segment_number : segment_number + 3], "big"), 0.0
        for name, share in sorted(weights.items()):
            end += share
            if number < round(end * 2**24) or name == max(weights):
                found[id_] = name
                break
    return found


# --- the draw


def test_customers_are_drawn_by_the_weights_and_a_rebuild_draws_the_same(world):
    add(world, 2000)
    world.computed(**TEXTS, holdout_percent="10")
    queued(world)
    assert kept(world) == {"weights": {"a": 0.5, "b": 0.5}, "why": "equal weights"}
    found = drawn(world)
    assert found.items() <= documented(world, {"a": 0.5, "b": 0.5}).items()
    counts = Counter(found.values())
    assert counts["a"] + counts["b"] == len(found)
    assert counts["a"] / len(found) == pytest.approx(0.5, abs=0.035)
    assert 150 < 2000 - len(found) < 250
    assert world.rows(sa.select(message.c.arm, message.c.variant).where(message.c.arm == "holdout").distinct()) == [
        ("holdout", None)
    ]
    before = world.dump("message")
    queued(world)
    assert world.dump("message") == before


def test_the_holdout_is_the_same_with_one_text_and_with_several(world):
    add(world, 300)
    world.computed(message_boost=A, holdout_percent="20")
    queued(world)
    query = sa.select(message.c.customer_id, message.c.status, message.c.reason, message.c.arm)
    before = sorted(world.rows(query))
    assert set(drawn(world).values()) == {"a"}
    world.computed(**TEXTS, holdout_percent="20")
    queued(world)
    assert sorted(world.rows(query)) == before
    assert set(drawn(world).values()) == {"a", "b"}


def test_only_segments_with_several_texts_are_drawn(world):
    add(world, 50)
    [regular] = [world.customer()]
    world.sessions(regular, 48)
    world.purchase(regular, 200_00)
    world.computed(**TEXTS)
    queued(world)
    query = sa.select(message.c.bucket, message.c.variant).distinct()
    assert set(world.rows(query)) == {("BOOST", "a"), ("BOOST", "b"), ("REWARD", "a")}
    assert world.value(sa.select(schema.campaign.c.variants)).keys() == {"BOOST"}


def test_a_campaign_with_one_text_for_each_segment_keeps_no_weights(world):
    add(world, 3)
    world.computed()
    queued(world)
    assert world.value(sa.select(schema.campaign.c.variants)) == {}


def test_customers_who_share_a_phone_are_drawn_for_the_same_text_in_another_campaign_perhaps_another(world):
    add(world, 200)
    world.computed(**TEXTS)
    queued(world)
    first = drawn(world)
    other = Window(world.window.start).previous()
    digests = {
        id_: hashlib.sha256(f"{other.start:%Y-%m-%d}/{hashed.hex()}".encode()).digest()[3] < 128
        for id_, hashed in world.rows(sa.select(customer.c.customer_id, customer.c.phone_hash))
    }
    same = sum((first[id_] == "a") == is_a for id_, is_a in digests.items())
    assert 60 < same < 140


def test_five_texts_are_drawn_each(world):
    add(world, 400)
    world.computed(messages=json.dumps({"BOOST": {name: f"Text {name}. Reply STOP." for name in "abcde"}}))
    queued(world)
    assert kept(world)["weights"] == dict.fromkeys("abcde", 0.2)
    assert Counter(drawn(world).values()).keys() == set("abcde")
    assert drawn(world) == documented(world, dict.fromkeys("abcde", 0.2))


def test_a_customer_who_is_not_texted_has_no_variant(world):
    add(world, 5, opted_out_at=world.now)
    world.computed(**TEXTS)
    queued(world)
    assert world.rows(sa.select(message.c.arm, message.c.variant).distinct()) == [(None, None)]


def test_a_backfill_and_a_dry_run_take_several_texts(world):
    add(world, 20)
    world.computed(**TEXTS)
    assert queued(world, dry_run=True).preview.messages == {"BOOST": 20}
    assert world.rows(sa.select(message.c.variant)) == []
    queued(world, backfill=True)
    assert world.rows(sa.select(message.c.variant).distinct()) == [(None,)]


# --- what is sent


def test_each_customer_reads_the_text_that_was_drawn_in_the_own_language(world):
    add(world, 40, locale="es-MX")
    add(world, 40, locale="de")
    add(world, 40)
    world.computed(**TEXTS)
    world.message()
    expected = {
        ("a", "es-MX"): A_ES,
        ("b", "es-MX"): B_ES,
        ("a", "de"): A,
        ("b", "de"): B,
        ("a", None): A,
        ("b", None): B,
    }
    query = sa.select(message.c.variant, customer.c.locale, message.c.body).join(
        customer, customer.c.customer_id == message.c.customer_id
    )
    assert {(variant, locale): body for variant, locale, body in world.rows(query.distinct())} == expected
    assert len(world.rows(query.distinct())) == len(expected)


def test_a_message_of_an_earlier_version_reads_the_text_a(world):
    add(world, 10)
    world.computed(**TEXTS)
    queued(world)
    world.execute(sa.update(message).values(variant=None))
    world.execute(sa.update(schema.campaign).values(frozen_at=world.now))
    world.message()
    assert world.rows(sa.select(message.c.body).distinct()) == [(A,)]


# --- the weights move between campaigns, and stay within one


def measured(world, back, texts, holdout=None, **buyers):
    """A campaign ``back`` windows ago, of which ``buyers`` bought again: (customers, buyers) by text."""
    window = world.window
    for _ in range(back):
        window = window.previous()
    snapshot = settings.validate(texts).snapshot()
    blank = {"events": {}, "rejected": {}, "status": "complete"}
    row = {"window_start": window.start, "window_end": window.end, "opened_at": window.end, "settings": snapshot}
    world.execute(sa.insert(schema.campaign).values(**row, **blank))
    arms = [(ExperimentArm.TEXTED, variant, *counts) for variant, counts in buyers.items()]
    arms += [(ExperimentArm.HOLDOUT, "", *holdout)] if holdout else []
    with world.engine.begin() as conn:
        measured_arms.keep(conn, window, [arm(*one, at=world.now) for one in arms])
    return window


def arm(arm, variant, customers, bought, at):
    spend = Arm(customers, (1000.0 * bought / customers,), ((2_000_000.0,),))
    sessions = Arm(customers, (3.0 + bought / customers,), ((4.0,),))
    return MeasuredArm("BOOST", arm, variant, Buyers(customers, bought), spend, sessions, at)


def weighed(world, **given):
    world.computed(**{**TEXTS, **given})
    queued(world)
    return kept(world)


def test_nothing_is_learnt_unless_it_is_switched_on(world):
    add(world, 5)
    measured(world, 1, TEXTS, a=(5000, 1000), b=(5000, 3000))
    assert weighed(world) == {"weights": {"a": 0.5, "b": 0.5}, "why": "equal weights"}


def test_a_text_that_did_better_goes_to_more_customers(world):
    add(world, 1000)
    measured(world, 1, TEXTS, a=(5000, 1550), b=(5000, 1705), holdout=(1000, 300))
    measured(world, 2, TEXTS, a=(5000, 1550), b=(5000, 1705))
    assert weighed(world, learn_variants="true") == {
        "weights": {"a": 0.05, "b": 0.95},
        "why": "b bought again more often in 2 campaigns: 34.1% against 31.0%",
    }
    assert drawn(world) == documented(world, {"a": 0.05, "b": 0.95})
    assert Counter(drawn(world).values())["b"] / 1000 == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ("spend", "b brought more spend per customer in 1 campaign: 3.41 against 3.10"),
        ("sessions", "b brought more sessions per customer in 1 campaign: 3.34 against 3.31"),
    ],
)
def test_the_primary_metric_decides(world, metric, why):
    add(world, 5)
    measured(world, 1, TEXTS, a=(50_000, 15_500), b=(50_000, 17_050))
    found = weighed(world, learn_variants="true", primary_metric=metric)
    assert found["why"] == why
    assert found["weights"]["b"] > 0.9


def test_without_history_the_weights_are_equal_and_the_reason_says_so(world):
    add(world, 5)
    assert weighed(world, learn_variants="true") == {
        "weights": {"a": 0.5, "b": 0.5},
        "why": "equal weights: no earlier campaign has compared two of these texts",
    }


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS | {"message_boost": "Another text a. Reply STOP."},
        TEXTS
        | {"messages": json.dumps({"BOOST": {"a": {"es": A_ES}, "b": {"default": B, "es": "Otro. Responde STOP."}}})},
        TEXTS | {"messages": json.dumps({"BOOST": {"a": {"es": A_ES}, "b": {"default": B}}})},
    ],
)
def test_a_campaign_with_another_text_in_any_language_does_not_count(world, texts):
    add(world, 5)
    measured(world, 1, texts, a=(5000, 1000), b=(5000, 3000))
    assert weighed(world, learn_variants="true")["weights"] == {"a": 0.5, "b": 0.5}


def test_a_later_campaign_without_the_texts_hides_no_earlier_one(world):
    add(world, 5)
    measured(world, 1, {"message_boost": A}, a=(5000, 1000))
    measured(world, 2, TEXTS, a=(5000, 1000), b=(5000, 3000))
    assert weighed(world, learn_variants="true")["weights"] == {"a": 0.05, "b": 0.95}


def test_a_new_text_gets_an_equal_share(world):
    add(world, 5)
    measured(world, 1, TEXTS, a=(5000, 1550), b=(5000, 1950))
    found = weighed(world, learn_variants="true", messages=json.dumps({"BOOST": BOTH["BOOST"] | {"c": C}}))
    assert found == {
        "weights": {"a": 0.05, "b": 0.6167, "c": 0.3333},
        "why": "b bought again more often in 1 campaign: 39.0% against 31.0%; c gets an equal share to be measured by",
    }


def test_three_texts_are_named_in_the_reason(world):
    add(world, 5)
    three = {"message_boost": A, "messages": json.dumps({"BOOST": {"b": B, "c": C}})}
    measured(world, 1, three, a=(5000, 1550), b=(5000, 1700), c=(5000, 1600))
    found = weighed(world, learn_variants="true", messages=three["messages"])
    assert found["why"] == "b bought again more often in 1 campaign: 34.0% against 32.0% of c and 31.0% of a"
    assert sum(found["weights"].values()) == pytest.approx(1)


def test_a_campaign_that_lost_customers_of_a_text_does_not_count(world):
    add(world, 5)
    window = measured(world, 1, TEXTS, a=(5000, 1000), b=(4000, 3000))
    plan = {"BOOST": {"weights": {"a": 0.5, "b": 0.5}, "why": "equal weights"}}
    world.execute(
        sa.update(schema.campaign).where(schema.campaign.c.window_start == window.start).values(variants=plan)
    )
    assert weighed(world, learn_variants="true")["weights"] == {"a": 0.5, "b": 0.5}


def test_the_weights_stay_though_more_is_measured_until_the_campaign_begins_anew(world):
    add(world, 50)
    first = weighed(world, learn_variants="true")
    before = drawn(world)
    measured(world, 1, TEXTS, a=(5000, 1000), b=(5000, 3000))
    queued(world)
    assert (kept(world), drawn(world)) == (first, before)
    assert weighed(world, learn_variants="true")["weights"] == {"a": 0.05, "b": 0.95}


def test_a_frozen_campaign_keeps_its_weights_though_the_settings_change(world):
    add(world, 50)
    first = weighed(world)
    before = drawn(world)
    world.execute(sa.update(schema.campaign).values(frozen_at=world.now))
    measured(world, 1, TEXTS, a=(5000, 1000), b=(5000, 3000))
    assert weighed(world, learn_variants="true") == first
    assert drawn(world) == before


def test_the_record_of_a_campaign_has_its_weights(world):
    add(world, 5)
    world.computed(**TEXTS)
    with world.engine.connect() as conn:
        assert campaign.locked(conn, world.window).variants is None
    queued(world)
    with world.engine.connect() as conn:
        found = campaign.locked(conn, world.window).variants
    assert found["BOOST"].weights == {"a": 0.5, "b": 0.5}
