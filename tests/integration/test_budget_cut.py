"""A list beyond the budget: cut to the customers furthest beyond their segment's threshold, or stopped."""

import hashlib
import json
import random
from decimal import Decimal

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign, message_counts
from engage.campaigns.run_options import RunOptions
from engage.errors import OverBudget
from engage.reports.budget_cut_words import sentences
from engage.sending import queue
from engage.storage.schema import customer, customer_activity, message
from tests.integration.test_pages_campaigns import text_of
from tests.integration.test_pages_report import page_of

RULES = json.dumps(
    {
        "segments": [
            {"name": "BOOST", "when": ["total_spend < 100"]},
            {"name": "REWARD", "when": ["avg_weekly_sessions > 1"]},
            {"name": "LAPSING", "when": [{"any": ["purchases > 1", "sessions > 1"]}]},
        ],
        "otherwise": "NONE",
    }
)
CUT = {"segments": RULES, "over_budget": "cut", "message_lapsing": "Come back! Reply STOP to opt out."}


def queued(world, **options):
    return queue.build(world.engine, world.window, options=RunOptions(**options), as_of=world.now)


def person(world, spend, sessions=1, **values):
    found = world.customer(**values)
    world.purchase(found, spend * 100)
    world.sessions(found, sessions)
    return found


def waiting(world):
    return {n for n, fate in world.ledger().items() if fate == "queued"}


def record(world):
    with world.engine.begin() as conn:
        return campaign.find(conn, world.window)


def test_the_lowest_spend_is_kept_and_the_rest_is_beyond_the_budget(world):
    spends = [person(world, spend) for spend in (50, 10, 90, 30, 70)]
    world.computed(**CUT, message_budget="2 messages")
    queued(world)
    assert waiting(world) == {spends[1], spends[3]}
    assert {world.ledger()[spends[n]] for n in (0, 2, 4)} == {"skipped/over_budget"}
    assert list(sentences(record(world))) == ["BOOST keeps 2 of 5 messages: lowest spend first, up to $30.00."]


def test_the_most_sessions_are_kept_of_a_segment_above_a_threshold(world):
    people = [person(world, 200, sessions) for sessions in (9, 40, 16, 24)]
    world.computed(**CUT, message_budget="2 messages")
    queued(world)
    assert waiting(world) == {people[1], people[3]}
    assert list(sentences(record(world))) == ["REWARD keeps 2 of 4 messages: most sessions a week first, down to 3."]


def test_a_list_within_the_budget_is_whole_and_one_that_stops_is_whole_too(world):
    people = {person(world, spend) for spend in (1, 2, 3)}
    world.computed(**CUT, message_budget="3 messages")
    queued(world)
    assert waiting(world) == people
    assert record(world).budget_cuts == {}
    world.computed(**CUT | {"over_budget": "stop"}, message_budget="2 messages")
    queued(world)
    assert waiting(world) == people
    with pytest.raises(OverBudget, match=r"^3 messages wait for the window .*, and message_budget allows 2 messages\."):
        world.message()
    assert waiting(world) == people


def test_segments_keep_the_same_share_and_all_of_the_budget_is_used(world):
    for _ in range(10):
        person(world, 50)
    for sessions in range(10, 17):
        person(world, 200, sessions)
    world.computed(**CUT, message_budget="7 messages")
    queued(world)
    assert {name: (one.kept, one.of) for name, one in record(world).budget_cuts.items()} == {
        "BOOST": (4, 10),
        "REWARD": (3, 7),
    }
    assert len(waiting(world)) == 7


def test_a_segment_that_keeps_all_its_messages_is_not_cut_and_keeps_its_holdout(world):
    for _ in range(40):
        person(world, 50)
    regulars = [person(world, 200, sessions) for sessions in range(30, 10, -1)]
    settings = {**CUT, "holdout_percent": "50"}
    world.computed(**settings)
    queued(world)
    before = _arms(world)
    while before[regulars[-1]] != "holdout":  # the last of their order
        regulars.pop()
    budget = sum(arm == "texted" for arm in before.values()) - 1
    world.computed(**settings, message_budget=f"{budget} messages")
    queued(world)
    assert {name: (one.kept, one.of - one.kept) for name, one in record(world).budget_cuts.items()} == {
        "BOOST": (budget - sum(before[one] == "texted" for one in regulars), 1)
    }
    assert [_arms(world)[one] for one in regulars] == [before[one] for one in regulars]


def _arms(world):
    return dict(world.rows(sa.select(message.c.customer_id, message.c.arm)))


def test_a_budget_of_money_is_never_exceeded(world):
    for spend in range(1, 8):
        person(world, spend)
    world.computed(**CUT, message_budget="0.05", price_per_segment="0.0079")
    queued(world)
    kept = waiting(world)
    assert len(kept) == 6  # 6 × 0.0079 = 0.0474, 7 × 0.0079 = 0.0553
    world.message()
    assert Decimal("0.04") < record(world).cost(_counts(world)) <= Decimal("0.05")


def _counts(world):
    with world.engine.begin() as conn:
        return message_counts.of(conn, world.window)


def test_a_budget_below_one_message_keeps_none(world):
    person(world, 1)
    world.computed(**CUT, message_budget="0.01", price_per_segment="0.02")
    queued(world)
    assert waiting(world) == set()
    [words] = sentences(record(world))
    assert words == "BOOST keeps 0 of 1 message: lowest spend first, and not one message fits."


def test_without_a_condition_that_orders_its_customers_chance_chooses_them(world):
    people = [person(world, 200, sessions=4) for _ in range(40)]
    world.computed(**CUT, message_budget="20 messages")
    queued(world)
    kept = waiting(world)
    assert len(kept) == 20
    assert kept != set(people[:20])
    [words] = sentences(record(world))
    assert words == (
        "LAPSING keeps 20 of 40 messages: chance chose the customers, as none of the segment's conditions puts them in "
        "an order."
    )


def test_a_second_queue_is_equal_and_a_new_extract_forgets_the_cut(world):
    for spend in (5, 4, 4, 4, 3):
        person(world, spend)
    world.computed(**CUT, message_budget="3 messages")
    queued(world)
    before = world.dump("message"), record(world).budget_cuts
    queued(world)
    assert (world.dump("message"), record(world).budget_cuts) == before
    world.computed(segments=RULES)
    assert record(world).budget_cuts == {}


def test_a_dry_run_shows_the_cut_list_and_leaves_none(world):
    for spend in (5, 4, 3):
        person(world, spend)
    world.computed(**CUT, message_budget="2 messages")
    summary = queued(world, dry_run=True)
    assert summary.preview.messages == {"BOOST": 2}
    assert summary.preview.exceeds_budget is None
    assert summary.skipped_by_reason == {"over_budget": 1}
    assert list(sentences(record(world))) == []  # there is no list


def test_a_frozen_list_takes_no_customer_back_who_was_cut(world):
    first, second = person(world, 1), person(world, 2)
    world.computed(**CUT, message_budget="1 message", require_approval="true")
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now, for_approval=True)
    world.execute(sa.update(customer).where(customer.c.customer_id == first).values(opted_out_at=world.now))
    queued(world)
    assert world.ledger()[second] == "skipped/over_budget"


def test_the_report_says_where_it_cut(world):
    for spend in (5, 4, 3):
        person(world, spend)
    world.computed(**CUT, message_budget="2 messages")
    queued(world)
    page = text_of(page_of(world))
    assert "The budget of 2 messages cut the list" in page
    assert "BOOST keeps 2 of 3 messages: lowest spend first, up to $4.00." in page


def _by_hand(rows, window, budget):
    """Which customers keep their messages, as documented. ``rows``: customer, segment, key, arm, phone's hash."""
    texted = [row for row in rows if row.arm == "texted"]
    sizes = {name: sum(row.bucket == name for row in texted) for name in {row.bucket for row in texted}}
    share = Decimal(budget) / len(texted)
    kept = {name: int(size * share) for name, size in sizes.items()}
    by_loss = sorted(sizes, key=lambda name: (kept[name] - sizes[name] * share, name))
    for name in by_loss[: budget - sum(kept.values())]:
        kept[name] += 1
    found = {}
    for name, size in sizes.items():
        place = 0
        for row in sorted((one for one in rows if one.bucket == name), key=lambda one: _place(one, window)):
            place += row.arm == "texted"
            stays = place <= kept[name] if row.arm == "texted" else place < kept[name]
            stays = stays or kept[name] == size
            found[row.customer_id] = row.arm if stays else None
    return found


def _place(row, window):
    key = {"BOOST": row.total_spend_cents, "REWARD": -row.sessions, "LAPSING": 0}[row.bucket]
    digest = hashlib.sha256(f"{window.start:%Y-%m-%d}/{row.phone_hash.hex()}".encode()).digest()
    return key, digest[7:], row.customer_id


@pytest.mark.parametrize("seed", range(4))
def test_random_lists_are_cut_as_documented(world, seed):
    chance = random.Random(seed)
    for _ in range(chance.randint(60, 120)):
        person(world, chance.choice([5, 20, 99, 150]), chance.choice([1, 4, 9, 20, 40]))
    settings = {**CUT, "holdout_percent": "20"}
    world.computed(**settings)
    queued(world)
    query = (
        sa.select(
            message.c.customer_id,
            message.c.bucket,
            message.c.arm,
            message.c.phone_hash,
            customer_activity.c.total_spend_cents,
            customer_activity.c.sessions,
        )
        .join(customer_activity, customer_activity.c.customer_id == message.c.customer_id)
        .where(message.c.window_start == world.window.start, message.c.arm.is_not(None))
    )
    with world.engine.connect() as conn:
        rows = conn.execute(query).all()
    budget = chance.randint(1, sum(row.arm == "texted" for row in rows) - 1)
    world.computed(**settings, message_budget=f"{budget} messages")
    queued(world)
    assert _arms(world) == _by_hand(rows, world.window, budget)
    assert len(waiting(world)) == budget
