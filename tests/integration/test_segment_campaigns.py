"""Campaigns with rules of the staff: from the app's events to the text that each customer gets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from engage.campaigns import distribution
from engage.reports import report
from engage.reports.approval_checks import checks
from engage.reports.customer_history import view
from engage.segments import segment_of
from engage.steps.seed import seed
from engage.storage.schema import customer_activity
from tests.integration.conftest import KEY, World
from tests.integration.service import Inside, bought, session, viewed

LAPSING = json.dumps(
    {
        "segments": [
            {"name": "REWARD", "when": ["avg_weekly_sessions > high_activity_threshold"]},
            {
                "name": "LAPSING",
                "when": [
                    "days_since_last_purchase > lapsing_days_threshold",
                    {"any": ["liked > 0", "added_to_basket > 0"]},
                ],
            },
            {"name": "CURIOUS", "when": ["viewed >= 2"]},
        ]
    }
)
RULES: dict[str, Any] = {
    "segments": LAPSING,
    "lapsing_days_threshold": "28",
    "message_lapsing": "Hi {{ first_name }}, {{ favourite_item }} waits since {{ days_since_last_purchase }} days. "
    "Reply STOP.",
    "messages": json.dumps({"LAPSING": {"es": "Hola {{ first_name }}: {{ favourite_item }}. Responde STOP."}}),
}


@pytest.fixture
def customers_of_each_kind(world: World) -> dict[str, int]:
    found = {
        "liked, bought long ago": world.customer(name="Ada Diaz", locale="es-MX"),
        "liked, never bought": world.customer(name="Kofi", locale="en-GB"),
        "liked, bought lately": world.customer(),
        "bought long ago": world.customer(),
        "viewed twice": world.customer(),
        "viewed once": world.customer(),
        "frequent": world.customer(),
    }
    end = world.window.end
    for name in ("liked, bought long ago", "liked, never bought", "liked, bought lately"):
        world.app_event(found[name], "liked", "taco-17")
    for name in ("liked, bought long ago", "bought long ago"):
        world.purchase(found[name], 500, at=end - timedelta(days=34, hours=3))
    world.purchase(found["liked, bought lately"], 500, at=end - timedelta(days=28, hours=23))
    for _ in range(2):
        world.app_event(found["viewed twice"], "viewed")
    world.app_event(found["viewed once"], "viewed")
    world.sessions(found["frequent"], 41)
    return found


def test_rules_put_customers_in_segments_and_text_those_with_a_text(
    world: World, customers_of_each_kind: dict[str, int]
) -> None:
    world.execute(sa.text("INSERT INTO item (item_id, name) VALUES ('taco-17', 'Taco al pastor')"))
    assert world.computed(**RULES).buckets == {"REWARD": 1, "LAPSING": 2, "CURIOUS": 1, "NONE": 3}
    ids = customers_of_each_kind
    found = dict(world.rows("SELECT customer_id, bucket FROM customer_bucket"))  # type: ignore[arg-type]
    assert {name: found[one] for name, one in ids.items()} == {
        "liked, bought long ago": "LAPSING",
        "liked, never bought": "LAPSING",
        "liked, bought lately": "NONE",
        "bought long ago": "NONE",
        "viewed twice": "CURIOUS",
        "viewed once": "NONE",
        "frequent": "REWARD",
    }
    world.message()
    texts = dict(world.rows("SELECT customer_id, body FROM message"))  # type: ignore[arg-type]
    assert set(texts) == {ids["liked, bought long ago"], ids["liked, never bought"], ids["frequent"]}
    assert texts[ids["liked, bought long ago"]] == "Hola Ada: Taco al pastor. Responde STOP."
    assert texts[ids["liked, never bought"]] == ("Hi Kofi, Taco al pastor waits since many days. Reply STOP.")
    with world.engine.connect() as conn:
        found_in = report.of(conn, world.window).buckets
    assert list(found_in.items()) == [("REWARD", 1), ("LAPSING", 2), ("CURIOUS", 1), ("NONE", 3)]


def test_twice_is_the_same_as_once(world: World, customers_of_each_kind: dict[str, int]) -> None:
    world.computed(**RULES)
    once = world.dump("customer_activity", "customer_bucket")
    world.computed(**RULES)
    assert world.dump("customer_activity", "customer_bucket") == once
    world.message()
    sent = world.dump("message")
    world.message()
    assert world.dump("message") == sent


def test_the_customer_page_says_which_condition_decided(world: World, customers_of_each_kind: dict[str, int]) -> None:
    world.computed(**RULES)

    def why(name: str) -> str:
        with world.engine.connect() as conn:
            return str(view(conn, customers_of_each_kind[name])["campaign"]["why"])

    assert why("liked, bought long ago") == (
        "LAPSING: last purchase 34 days before the window's end is more than 28; 1 like is more than 0."
    )
    assert why("liked, never bought") == (
        "LAPSING: no purchase is known, so longer ago than 28 days; 1 like is more than 0."
    )
    assert why("frequent") == "REWARD: 5.125 sessions a week are more than 5."
    assert why("liked, bought lately") == (
        "Not REWARD: 0 sessions a week are not more than 5. Not LAPSING: last purchase 28 days before the window's end "
        "is not more than 28. Not CURIOUS: 0 views are less than 2."
    )


def test_a_running_campaign_keeps_the_segments_that_it_began_with(
    world: World, customers_of_each_kind: dict[str, int]
) -> None:
    world.computed(**RULES)
    world.message()
    assert world.computed().frozen  # the next run has the default rules
    with world.engine.connect() as conn:
        assert report.of(conn, world.window).record.require_settings().segments.names[1] == "LAPSING"


def test_a_segment_that_no_customer_can_be_in_is_a_warning_at_extract(
    world: World, customers_of_each_kind: dict[str, int]
) -> None:
    rules = json.dumps({"segments": [{"name": "A", "when": ["liked > 3", "liked < 2"]}]})
    assert world.extract(segments=rules).warnings == "Segment A is always empty: its conditions exclude each other."


def test_the_default_gives_every_seeded_customer_the_bucket_of_the_old_rule(world: World) -> None:
    seed(world.engine, world.window, customers=10_000, rng_seed=1, hash_key=KEY)
    world.computed()
    old_rule = """
        SELECT count(*) FROM customer_bucket WHERE bucket IS DISTINCT FROM CASE
            WHEN total_spend_cents < 10000 THEN 'BOOST' WHEN avg_weekly_sessions > 5.0 THEN 'REWARD' ELSE 'NONE' END"""
    assert world.value(old_rule) == 0
    assert world.value("SELECT count(DISTINCT bucket) FROM customer_bucket") == 3


def test_the_database_and_python_agree_on_each_customer_of_a_campaign(
    world: World, customers_of_each_kind: dict[str, int]
) -> None:
    world.computed(**RULES)
    with world.engine.connect() as conn:
        settings = report.of(conn, world.window).record.require_settings()
        rows = conn.execute(sa.select(customer_activity)).mappings().all()
    found = {row["customer_id"]: segment_of(settings.rules, row, world.window.end) for row in rows}
    assert found == dict(world.rows("SELECT customer_id, bucket FROM customer_bucket"))  # type: ignore[arg-type]


def test_events_sent_over_http_decide_the_segment_in_the_next_campaign(world: World, api: Inside) -> None:
    liked, basket, idle = world.customer(), world.customer(), world.customer()
    at = (world.window.start + timedelta(days=2)).isoformat()
    events = [
        bought("9.00", liked, at),
        viewed("taco-17", liked, at, type="liked"),
        viewed("taco-17", basket, at, type="added_to_basket"),
        viewed("taco-17", idle, at),
        session(idle, at),
    ]
    assert api.send(*events).json() == {"accepted": 5, "rejected": []}
    world.computed(**RULES)
    assert dict(world.rows("SELECT customer_id, bucket FROM customer_bucket")) == {  # type: ignore[arg-type]
        liked: "LAPSING",
        basket: "LAPSING",
        idle: "NONE",
    }


def test_the_segment_before_and_the_change_of_spend_reach_the_next_window(world: World) -> None:
    fallen, kept = world.customer(), world.customer()
    for one, cents in ((fallen, 200_00), (kept, 200_00)):
        world.purchase(one, cents)
        world.sessions(one, 41)
    world.computed()
    world.window, world.now = world.window.next(), world.now + timedelta(weeks=8)
    for one, cents in ((fallen, 20_00), (kept, 199_00)):
        world.purchase(one, cents)
    rules = json.dumps({"segments": [{"name": "FALLEN", "when": ["previous_segment = REWARD", "spend_change < -50"]}]})
    world.computed(segments=rules)
    assert dict(
        world.rows(f"SELECT customer_id, bucket FROM customer_bucket WHERE window_start = '{world.window.start}'")
    ) == {fallen: "FALLEN", kept: "NONE"}  # type: ignore[comparison-overlap]


# --- what a campaign cannot know, or does not check

BACK = json.dumps({"segments": [{"name": "GONE", "when": ["days_since_last_purchase > 300"]}]})


def test_numbers_that_no_campaign_of_the_window_before_has_kept_are_a_warning(world: World) -> None:
    world.purchase(world.customer(), 500)
    assert world.extract(segments=BACK).warnings == (
        "No purchase or session before 2026-09-14 is known, as no campaign of the window before has kept them: GONE "
        "may have customers who bought earlier. Compute the window before first."
    )
    assert world.extract().warnings == ""
    earlier = World(world.engine, world.window.previous(), now=world.now)
    earlier.purchase(1, 500)
    earlier.computed()
    assert world.extract(segments=BACK).warnings == ""


def test_what_a_campaign_is_about_to_compute_anew_is_not_carried_on(world: World) -> None:
    ada = world.customer()
    earlier = World(world.engine, world.window.previous(), now=world.now)
    for each in (earlier, world):
        each.purchase(ada, 500)
    earlier.computed()
    earlier.extract(low_spend_threshold="1")
    world.computed()
    query = f"SELECT previous_segment FROM customer_activity WHERE window_start = '{world.window.start}'"
    assert world.rows(query) == [(None,)]


def test_segments_that_the_guard_cannot_compare_are_named(world: World) -> None:
    ada = world.customer()
    earlier = World(world.engine, world.window.previous(), now=world.now)
    for each in (earlier, world):
        each.purchase(ada, 500)
    earlier.computed()
    assert world.computed().warnings == ""
    flipped = json.dumps({"segments": [{"name": "BOOST", "when": ["total_spend > low_spend_threshold"]}]})
    caveat = "BOOST, NONE not compared with the window before, as a rule has changed"
    assert world.computed(segments=flipped, guard_max_shift_points=25).warnings == caveat
    with world.engine.connect() as conn:
        found = report.of(conn, world.window).record
    [guard] = [check for check in checks(found, as_of=world.now) if check.name == "Guard"]
    assert (guard.good, guard.words) == (False, f"nothing odd; {caveat}")


def test_a_list_without_any_text_is_a_check_that_fails(world: World) -> None:
    world.purchase(world.customer(), 500)
    world.computed(segments=json.dumps({"segments": [{"name": "QUIET", "when": ["sessions = 0"]}]}))
    with world.engine.connect() as conn:
        found = checks(report.of(conn, world.window).record, as_of=world.now)
    [opt_out] = [check for check in found if check.name == "Opt-out"]
    assert (opt_out.good, opt_out.words) == (False, "no segment has a text")
    assert "Texts" not in [check.name for check in found]


def test_a_value_close_to_its_limit_is_not_shown_as_equal(world: World) -> None:
    ada = world.customer()
    for cents in (3333, 3333, 3334):
        world.purchase(ada, cents)
    world.computed(segments=json.dumps({"segments": [{"name": "MEAN", "when": ["average_purchase > 33.33"]}]}))
    with world.engine.connect() as conn:
        why = view(conn, ada)["campaign"]["why"]
    assert why == "MEAN: average purchase 33.333333 is more than 33.33."


def test_a_customer_at_the_limit_is_drawn_on_the_side_of_the_segment(world: World) -> None:
    world.purchase(world.customer(), 100_00)
    world.purchase(world.customer(), 100_01)
    world.computed(segments=json.dumps({"segments": [{"name": "RICH", "when": ["total_spend > 100"]}]}))
    with world.engine.begin() as conn:
        found = distribution.of(conn, world.window, report.of(conn, world.window).record.require_settings())
    assert {name: spend < found.spend.below for spend, _, name in found.cells} == {"RICH": False, "NONE": True}


def test_a_distribution_that_a_page_of_an_earlier_version_has_kept_is_counted_again(world: World) -> None:
    world.purchase(world.customer(), 500)
    world.computed()
    with world.engine.begin() as conn:
        settings = report.of(conn, world.window).record.require_settings()
        expected = distribution.of(conn, world.window, settings)
    old = expected.to_json() | {"cells": [[0, 0, 1]]}
    world.execute(sa.text("UPDATE campaign SET distribution = :old").bindparams(sa.bindparam("old", old, sa.JSON)))
    with world.engine.begin() as conn:
        assert distribution.of(conn, world.window, settings) == expected
