"""The cost of a campaign, in the commands and their JSON."""

import json

import pytest

from engage.pages.csv_download import counts_csv


@pytest.fixture
def people(world):
    for _ in range(3):
        world.sessions(world.customer(), 2)
    return world


def test_a_campaign_with_a_price_has_its_cost_everywhere(people, command):
    people.computed(price_per_segment="0.0079")
    assert json.loads(command("report", "--json"))["cost"] is None
    people.message()
    assert json.loads(command("report", "--json"))["cost"] == "0.0237"
    assert json.loads(command("campaigns", "--json"))[0]["cost"] == "0.0237"
    assert json.loads(command("report", "--json"))["currency"] == "USD"
    assert json.loads(command("campaigns", "--json"))[0]["currency"] == "USD"
    assert f"{people.window.start:%Y-%m-%d},cost,USD,0.0237" in counts_csv(people.engine, people.window)
    assert "Cost: $0.02, 3 SMS segments" in command("report")
    assert "$0.02" in command("campaigns")


def test_without_a_price_no_cost_is_shown(people, command):
    people.computed()
    people.message()
    assert json.loads(command("report", "--json"))["cost"] is None
    assert json.loads(command("campaigns", "--json"))[0]["cost"] is None
    assert "Cost: " not in command("report")
    assert "$" not in command("campaigns")


def test_a_dry_run_says_what_its_messages_would_cost(people, command):
    start = f"{people.window.start:%Y-%m-%d}"
    unguarded = ("--set", "guard_max_quiet_days=0")
    run = ("run", "--dry-run", "--send-late", "--window-start", start, *unguarded)
    priced = (*run, "--set", "price_per_segment=0.0079")
    assert json.loads(command(*priced, "--json"))["run"]["would_queue"]["cost"] == "0.0237"
    assert "At most $0.02 at the price of an SMS segment." in command(*priced)
    assert json.loads(command(*priced, "--json"))["run"]["would_queue"]["exceeds_budget"] is None
    dear = (*priced, "--set", "message_budget=0.02")
    assert json.loads(command(*dear, "--json"))["run"]["would_queue"]["exceeds_budget"] == "0.02"
    assert "That exceeds the budget of $0.02, so a run would stop before the first message." in command(*dear)
    assert json.loads(command(*run, "--json"))["run"]["would_queue"]["cost"] is None
    assert "at the price of an SMS segment" not in command(*run)
