"""Exclusion: an operator takes a customer out of the texts of every campaign."""

import json

import pytest

from engage.campaigns.run_options import RunOptions
from engage.customers import erasure, exclusion
from engage.errors import NoSuchCustomer
from engage.reports import why
from engage.sending import queue, sender

REASON = "test account"


def exclude(world, customer_id, reason=REASON, by="ada"):
    with world.engine.begin() as conn:
        return exclusion.exclude(conn, customer_id, reason=reason, by=by, as_of=world.now)


def include(world, customer_id):
    with world.engine.begin() as conn:
        return exclusion.include(conn, customer_id)


def listed(world):
    with world.engine.begin() as conn:
        return [(one.customer_id, one.reason, one.excluded_by) for one in exclusion.listed(conn)]


def queued(world):
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)


def test_an_excluded_customer_is_not_texted_and_still_counts_in_a_segment(world):
    for _ in range(2):
        world.purchase(world.customer(), 100)
    exclude(world, 2)
    summary = world.computed()
    world.message()
    assert summary.buckets["BOOST"] == 2
    assert world.ledger() == {1: "accepted", 2: "skipped/excluded"}


def test_an_exclusion_after_the_queue_wins(world):
    world.purchase(world.customer(), 100)
    world.computed()
    queued(world)
    exclude(world, 1)
    sender.send(world.engine, world.window, sender.SendingContext(lambda: world.now))
    assert world.ledger() == {1: "skipped/excluded"}


def test_an_excluded_customer_is_in_no_arm_of_an_experiment(world):
    for _ in range(2):
        world.purchase(world.customer(), 100)
    exclude(world, 2)
    world.computed(holdout_percent="100")
    queued(world)
    assert world.rows("SELECT customer_id, arm FROM message ORDER BY 1") == [(1, "holdout"), (2, None)]


def test_the_phone_of_an_excluded_customer_stays_free_for_another_customer(world):
    for _ in range(2):
        world.purchase(world.customer(phone="+999000000001"), 100)
    exclude(world, 1)
    world.computed()
    world.message()
    assert world.ledger() == {1: "skipped/excluded", 2: "accepted"}


def test_a_customer_who_is_included_again_is_texted(world):
    world.purchase(world.customer(), 100)
    exclude(world, 1)
    world.computed()
    queued(world)
    assert include(world, 1)
    assert not include(world, 1)
    world.message()
    assert world.ledger() == {1: "accepted"}


def test_the_first_exclusion_stays(world):
    ada = world.customer()
    assert exclude(world, ada)
    assert not exclude(world, ada, reason="a bot", by="ben")
    assert listed(world) == [(ada, REASON, "ada")]


def test_only_a_known_customer_is_excluded(world):
    with pytest.raises(NoSuchCustomer, match="customer 17"):
        exclude(world, 17)
    assert listed(world) == []


def test_an_erasure_ends_the_exclusion(world):
    exclude(world, world.customer())
    erasure.forget(world.engine, 1, as_of=world.now)
    assert listed(world) == []


def test_why_names_who_excluded_the_customer_and_the_reason(world):
    world.purchase(world.customer(), 100)
    exclude(world, 1)
    world.computed()
    queued(world)
    with world.engine.begin() as conn:
        found = why.explain(conn, world.window, 1, currency="USD", as_of=world.now)
    assert found.answer == "Not texted: excluded by an operator."
    assert "ada has the customer excluded from all texts: test account." in str(found.to_dict())


def test_the_commands_exclude_list_and_include(world, command):
    world.customer(customer_id=17)
    assert "No customer is excluded." in command("customers", "excluded")
    assert "is excluded" in command("customers", "exclude", "--customer", "17", "--reason", REASON)
    assert "was already excluded" in command("customers", "exclude", "--customer", "17", "--reason", "a bot")
    [one] = json.loads(command("customers", "excluded", "--json"))
    assert (one["customer_id"], one["reason"]) == (17, REASON)
    assert REASON in command("customers", "excluded")
    assert "is included again" in command("customers", "include", "--customer", "17")
    assert "was not excluded" in command("customers", "include", "--customer", "17")
    assert listed(world) == []


def test_a_command_lists_the_odd_customers_of_a_window(world, command):
    world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    exclude(world, 1)
    start = f"{world.window.start:%Y-%m-%d}"
    shown = command("customers", "odd", "--window-start", start)
    assert "57 sessions" in shown
    assert "56 sessions, by a setting" in shown
    assert "too few large numbers" in shown
    assert REASON in shown
    found = json.loads(command("customers", "odd", "--window-start", start, "--json"))
    assert [one["value"] for one in found["customers"]] == [57]
    assert {one["found_by"] for one in found["limits"]} == {"fixed", "chance"}
