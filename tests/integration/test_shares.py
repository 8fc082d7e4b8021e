"""A share of the customers, such as ``lowest 20%``, becomes one exact number in ``bucket`` and stays it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from engage.campaigns import campaign
from engage.errors import SettingsError
from engage.reports.report import report
from engage.reports.share_facts import share_facts
from engage.reports.why import explain
from engage.settings import Settings
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from tests.integration.conftest import World

LOWEST = {"low_spend_threshold": "lowest 40%", "high_activity_threshold": "1000"}


def segments(*lines: str, **more: Any) -> dict[str, Any]:
    return {"segments": json.dumps({"segments": [{"name": "A", "when": list(lines)}]})} | more


def spenders(world: World, *cents: int) -> list[int]:
    """Customers who have spent these amounts."""
    found = [world.customer() for _ in cents]
    for customer_id, amount in zip(found, cents, strict=True):
        world.purchase(customer_id, amount)
    return found


def in_segment(world: World, name: str) -> list[int]:
    return [one for (one,) in world.rows(f"SELECT customer_id FROM customer_bucket WHERE bucket = '{name}' ORDER BY 1")]


def settings_of(world: World) -> Settings:
    with world.engine.begin() as conn:
        return campaign.locked(conn, world.window).require_settings()


def facts(world: World) -> list[tuple[str, str]]:
    return [(one.sentence, one.note) for one in share_facts(settings_of(world))]


# --- who is in


def test_the_lowest_share_is_in_the_segment(world):
    found = spenders(world, 500, 100, 400, 200, 300)
    summary = world.computed(**LOWEST)
    assert in_segment(world, "BOOST") == [found[1], found[3]]
    assert summary.shares == "low_spend_threshold: lowest 40% = below 3: 2 customers."
    assert facts(world) == [("Low spend threshold: lowest 40% = below $3: 2 customers.", "")]


def test_a_number_of_customers_is_in_the_segment(world):
    found = spenders(world, 500, 100, 400, 200, 300)
    world.computed(**segments("total_spend in highest 2"))
    assert in_segment(world, "A") == [found[0], found[2]]
    assert facts(world) == [("Spend: highest 2 = more than $3: 2 customers.", "")]


def test_all_who_tie_at_the_end_of_a_share_are_out(world):
    spenders(world, 0, 0, 0, 200, 300)
    assert world.computed(**LOWEST).buckets["BOOST"] == 0
    assert facts(world) == [
        (
            "Low spend threshold: lowest 40% = below $0: 0 customers.",
            "60.0% of the customers tie at $0, so lowest 40% takes no customer. Ask for more than 60.0%, compare by "
            "“at most” to take all who tie, or write a number.",
        )
    ]


def test_at_most_takes_all_who_tie(world):
    spenders(world, 0, 0, 0, 200, 300)
    world.computed(**segments("total_spend <= some_threshold", some_threshold="lowest 40%"))
    assert len(in_segment(world, "A")) == 3
    assert facts(world) == [
        (
            "Some threshold: lowest 40% = at most $0: 3 customers.",
            "“at most” also takes all 3 customers at $0.",
        )
    ]


def test_two_rules_divide_all_customers_at_one_number(world):
    spenders(world, 100, 200, 200, 300)
    rules = {
        "segments": [
            {"name": "LITTLE", "when": ["total_spend < some_threshold"]},
            {"name": "MUCH", "when": ["total_spend >= some_threshold"]},
        ]
    }
    done = world.computed(segments=json.dumps(rules), some_threshold="lowest 50%")
    assert done.buckets == {"LITTLE": 1, "MUCH": 3, "NONE": 0}
    assert facts(world)[0][0] == "Some threshold: lowest 50% = below $2: 1 customer; at least $2: 3 customers."


def test_customers_without_a_value_are_in_no_share(world):
    early, late, _ = [*spenders(world, 100, 100), world.customer()]
    world.purchase(early, 100, at=world.window.start + timedelta(days=1))
    world.purchase(late, 100, at=world.window.end - timedelta(days=2))
    world.computed(**segments("days_since_last_purchase > old_threshold", old_threshold="highest 50%"))
    assert in_segment(world, "A") == [early]
    assert facts(world)[0][0] == ("Old threshold: highest 50% = more than 2 days: 1 of the 2 customers with a value.")


def test_a_share_that_is_larger_than_the_window_has_all_customers(world):
    spenders(world, 0, 100, 300)
    assert world.computed(low_spend_threshold="lowest 5000").buckets["BOOST"] == 3
    assert world.computed(**segments("total_spend in highest 100%")).buckets["A"] == 3


def test_a_share_of_less_than_one_customer_is_nobody(world):
    spenders(world, 100, 200)
    assert world.computed(low_spend_threshold="lowest 1%").buckets["BOOST"] == 0
    assert facts(world)[0][1] == "lowest 1% of 2 is less than one customer, so it takes no customer."


def test_at_most_takes_all_who_tie_also_with_a_share_of_less_than_one_customer(world):
    spenders(world, 100, 100, 200)
    world.computed(**segments("total_spend <= some_threshold", some_threshold="lowest 1%"))
    assert len(in_segment(world, "A")) == 2
    assert facts(world) == [
        ("Some threshold: lowest 1% = at most $1: 2 customers.", "“at most” also takes all 2 customers at $1.")
    ]


def test_a_number_that_no_customer_has_is_nobody(world):
    spenders(world, 100, 200)
    world.computed(**segments("previous_total_spend in lowest 50%"))
    assert in_segment(world, "A") == []
    assert facts(world)[0][1] == "No customer has a value to compare, so lowest 50% takes no customer."


# --- the number stays


def test_the_setting_is_kept_as_written_and_the_number_beside_it(world):
    spenders(world, 100, 200, 300)
    world.computed(**LOWEST)
    [(kept, resolved)] = world.rows("SELECT settings, resolved FROM campaign")
    assert kept["low_spend_threshold"] == "lowest 40%"
    number = {"number": "2", "known": 3, "asked": 1, "within": 1, "ties": 1}
    assert resolved == {"low_spend_threshold": number}
    found = report(world.engine).to_dict()
    assert found["settings"]["low_spend_threshold"] == "lowest 40%"
    assert found["resolved"] == {"low_spend_threshold": number | {"written": "lowest 40%"}}


def test_the_number_is_unknown_until_bucket_and_forgotten_when_events_are_counted_anew(world):
    spenders(world, 100, 200, 300)
    world.extract(**LOWEST)
    assert world.value("SELECT resolved FROM campaign") is None
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    assert world.value("SELECT resolved FROM campaign") is not None
    aggregate(world.engine, world.window)
    assert world.value("SELECT resolved FROM campaign") is None
    assert settings_of(world).resolved == {}


def test_bucket_again_finds_the_same_number_and_a_new_aggregate_another(world):
    found = spenders(world, 100, 200, 300)
    world.computed(**LOWEST)
    before = world.dump("customer_bucket", "campaign")
    bucket(world.engine, world.window)
    after = world.dump("customer_bucket", "campaign")
    assert after["customer_bucket"] == before["customer_bucket"]
    assert settings_of(world).number("low_spend_threshold") == 2
    world.purchase(found[1], 50)
    bucket(world.engine, world.window)
    assert settings_of(world).number("low_spend_threshold") == 2  # these events are of no aggregate yet
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    assert settings_of(world).number("low_spend_threshold") == 2.5


def test_a_frozen_campaign_keeps_its_number(world):
    spenders(world, 100, 200, 300)
    world.computed(**LOWEST)
    world.message()
    before = world.dump("campaign", "message", "customer_bucket")
    world.purchase(world.customer(), 1)
    assert world.computed(low_spend_threshold="highest 1%").frozen
    assert world.dump("campaign", "message", "customer_bucket") == before
    assert settings_of(world).number("low_spend_threshold") == 2


def test_the_same_share_is_another_number_in_another_window_and_the_same_part_of_the_customers(world, in_window):
    later = in_window(world.window.next())
    found = spenders(world, *range(1_00, 11_00, 100))
    for at, customer_id in enumerate(found):
        later.purchase(customer_id, (at + 1) * 10_00)
    assert world.computed(**LOWEST).buckets["BOOST"] == 4
    assert later.computed(**LOWEST).buckets["BOOST"] == 4
    assert settings_of(world).number("low_spend_threshold") == 5
    assert settings_of(later).number("low_spend_threshold") == 50


# --- it is shown with its number


def test_why_a_customer_is_in_a_segment_names_the_share_and_its_number(world):
    low, _, high = spenders(world, 100, 200, 300)
    world.computed(**LOWEST)
    assert "BOOST: spend $1.00 is below lowest 40% = $2.00." in why(world, low)
    assert "Not BOOST: spend $3.00 is not below lowest 40% = $2.00." in why(world, high)


def test_why_a_customer_without_a_value_is_in_no_share(world):
    world.customer(), world.purchase(world.customer(), 100)
    world.computed(**segments("days_since_last_purchase in highest 50%"))
    assert "Not A: no purchase is known, so in no share of the customers." in why(world, 1)


def why(world: World, customer_id: int) -> str:
    with world.engine.begin() as conn:
        found = explain(conn, world.window, customer_id, currency="USD", as_of=world.now)
    return " ".join(sentence for section in found.sections for sentence in section.sentences)


def test_the_guard_names_a_share_that_took_the_place_of_a_number(world, in_window):
    later = in_window(world.window.next())
    for one in spenders(world, *[100_00] * 9, 1_00):
        later.purchase(one, one * 100)
    world.computed(low_spend_threshold="50")
    later.computed(low_spend_threshold="lowest 60%", guard_max_shift_points="25")
    with world.engine.begin() as conn:
        guard = campaign.locked(conn, later.window).guard
    assert "BOOST has 60.0% of the customers, 50.0 points more than in the window before" in guard.note
    assert "(engage_low_spend_threshold is lowest 60% = 7 and was 50)" in guard.note


def test_the_guard_names_both_shares_with_their_numbers(world, in_window):
    later = in_window(world.window.next())
    for one in spenders(world, *range(1_00, 11_00, 100)):
        later.purchase(one, one * 10_00)
    world.computed(**LOWEST)
    later.computed(low_spend_threshold="lowest 90%", guard_max_shift_points="25")
    with world.engine.begin() as conn:
        guard = campaign.locked(conn, later.window).guard
    assert "engage_low_spend_threshold is lowest 90% = 100 and was lowest 40% = 5" in guard.note


def test_the_guard_names_no_share_that_stayed_as_it_was(world, in_window):
    later = in_window(world.window.next())
    found = spenders(world, *range(1_00, 11_00, 100))
    later.purchase(found[0], 100)  # nine of ten tie at 0
    world.computed(**LOWEST)
    later.computed(**LOWEST, guard_max_shift_points="25")
    with world.engine.begin() as conn:
        guard = campaign.locked(conn, later.window).guard
    assert guard.note.endswith("and engage_guard_max_shift_points is 25")


def test_the_commands_print_the_share_and_its_number(world, command):
    spenders(world, 100, 200, 300)
    world.computed(**LOWEST)
    assert "Low spend threshold: lowest 40% = below $2: 1 customer." in command("report")
    assert "lowest 40% = 2.00" in " ".join(command("campaigns").split())
    [listed] = json.loads(command("campaigns", "--json"))
    assert listed["thresholds"]["low_spend_threshold"] == "lowest 40%"
    assert listed["resolved"]["low_spend_threshold"]["number"] == "2"


def test_a_dry_run_takes_a_share(world, command):
    spenders(world, 100, 200, 300)
    start = f"{world.window.start:%Y-%m-%d}"
    printed = command(
        "run", "--window-start", start, "--set", "low_spend_threshold=lowest 40%", "--dry-run", "--set",
        "guard_max_quiet_days=0",
    )  # fmt: skip
    assert "lowest 40% = below $2: 1 customer." in printed


# --- what cannot be


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["total_spend = some_threshold"], "the rule 'total_spend = some_threshold' wants one number"),
        (["total_spend < some_threshold", "sessions > some_threshold"], "with total_spend and with sessions"),
    ],
)
def test_a_share_that_its_rules_cannot_take_is_refused(world, lines, sentence):
    with pytest.raises(SettingsError, match=sentence):
        world.extract(**segments(*lines, some_threshold="lowest 40%"))


def test_messages_are_queued_by_the_number_that_bucket_found(world):
    found = spenders(world, 100, 200, 300)
    world.computed(**LOWEST)
    world.purchase(found[1], 10_000)
    assert world.message().unsettled == 0
    assert world.ledger() == {found[0]: "accepted"}
