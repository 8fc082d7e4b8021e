"""Each message whose text names an offer code gets one of its own, and no code goes into two messages."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.errors import TooFewCodes
from engage.sending import queue
from engage.storage.schema import message, offer_code
from tests.integration.offers import TEXT, computed_before, reward

DAY = timedelta(days=1)
EVERYTHING = ("campaign", "message", "message_count", "offer_code")


# --- the queue


def test_each_queued_message_whose_text_names_a_code_gets_one_and_sends_it(world, offers):
    offers.bought(5)
    reward(world, 2)
    offers.make(9)
    offers.computed()
    assert offers.queued().by_status == {"queued": 7}
    given = offers.given()
    assert set(given) == {1, 2, 3, 4, 5}
    assert len(set(given.values())) == 5
    assert offers.given("segment") == dict.fromkeys(given, "BOOST")
    assert offers.given("variant") == dict.fromkeys(given, "a")
    assert len(offers.free()) == 4
    offers.send()
    bodies = offers.bodies()
    assert {n: bodies[n] for n in given} == {n: f"Show {code}. Reply STOP" for n, code in given.items()}
    assert bodies[6] == bodies[7] == "Thank you for being a regular! Your next dessert is on us. Reply STOP to opt out."
    assert offers.given() == given


def test_a_code_in_a_language_only_is_given_to_the_segment(world, offers):
    offers.bought(1, locale="es-MX")
    offers.bought(1)
    offers.make(2)
    world.computed(offer="summer", messages={"BOOST": {"es": TEXT}})
    offers.queued()
    offers.send()
    assert offers.bodies()[1] == f"Show {offers.given()[1]}. Reply STOP"
    assert offers.bodies()[2].startswith("We miss you!")
    assert set(offers.given()) == {1, 2}


def test_only_the_messages_of_the_text_that_names_a_code_take_one(world, offers):
    offers.bought(30)
    offers.make(30)
    offers.computed(message_boost="Come back. Reply STOP", messages={"BOOST": {"b": TEXT}})
    offers.queued()
    variants = dict(world.rows(sa.select(message.c.customer_id, message.c.variant)))
    assert set(variants.values()) == {"a", "b"}
    given = offers.given()
    assert set(given) == {customer_id for customer_id, variant in variants.items() if variant == "b"}
    assert set(offers.given("variant").values()) == {"b"}
    offers.send()
    expected = {n: f"Show {given[n]}. Reply STOP" if n in given else "Come back. Reply STOP" for n in variants}
    assert offers.bodies() == expected


def test_customers_who_are_not_texted_get_no_code(world, offers):
    offers.bought(200)
    offers.bought(1, opted_out_at=world.now)
    offers.bought(2, phone="+999888")
    offers.make(300)
    offers.computed(holdout_percent="20")
    offers.queued()
    queued = {n for n, fate in world.ledger().items() if fate == "queued"}
    assert 100 < len(queued) < 190
    assert set(offers.given()) == queued


def test_without_a_text_that_names_a_code_none_is_given_or_needed(world, offers):
    offers.bought(1)
    offers.make(1)
    world.computed(offer="summer")
    offers.queued()
    assert offers.given() == {}
    world.computed()
    assert offers.queued().by_status == {"queued": 1}


@pytest.mark.parametrize("options", [{"backfill": True}, {}])
def test_a_campaign_that_texts_no_customer_takes_no_code(world, offers, options):
    offers.bought(2)
    offers.make(2)
    offers.computed(send_within_days="1")
    world.now += timedelta(days=5)
    assert offers.queued(**options).by_status == {"skipped": 2}
    assert offers.given() == {}


# --- too few


def test_too_few_codes_stop_the_run_before_anything_is_queued(world, offers):
    offers.bought(5)
    offers.make(2)
    offers.make(1, expires_at=world.now + DAY / 2)
    offers.make(9, offer="winter")
    offers.computed()
    before = world.dump(*EVERYTHING)
    with pytest.raises(TooFewCodes) as raised:
        world.message()
    assert str(raised.value) == (
        "The messages to BOOST need 5 codes of the offer summer, which has 2 free. Not counted, as they expire before "
        "2026-11-11 09:00 UTC: 1. No message was queued. Add 3 with `engage offers import FILE --offer summer` or "
        "`engage offers generate 3 --offer summer`."
    )
    assert world.dump(*EVERYTHING) == before
    offers.make(3)
    assert world.message().by_status == {"accepted": 5}


def test_an_open_queue_stays_as_it_was_if_too_few_codes_are_left_for_another(world, offers):
    offers.bought(2)
    offers.make(2)
    offers.computed()
    offers.queued()
    offers.bought(1)
    offers.computed()
    before = world.dump(*EVERYTHING)
    with pytest.raises(TooFewCodes, match="need 3 codes of the offer summer, which has 2 free"):
        offers.queued()
    assert world.dump(*EVERYTHING) == before


def test_with_an_approval_too_few_codes_stop_the_run_before_the_approver_is_asked(world, offers):
    offers.bought(2)
    offers.make(5, expires_at=world.now + 3 * DAY - timedelta(minutes=1))
    offers.computed(require_approval=True, approval_hours=48)
    with pytest.raises(TooFewCodes, match=r"which has 0 free\. .* before 2026-11-13 09:00 UTC: 5\."):
        queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now, for_approval=True)
    assert world.rows("SELECT approval, frozen_at FROM campaign") == [(None, None)]
    offers.make(2, expires_at=world.now + 3 * DAY)
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now, for_approval=True)
    assert len(offers.given()) == 2


def test_a_dry_run_says_what_it_needs_and_takes_nothing(world, offers):
    offers.bought(3)
    offers.make(1)
    offers.computed()
    note = offers.queued(dry_run=True).note
    assert note.endswith(
        "what a run would have queued. The messages to BOOST need 3 codes of the offer summer, which has 1 free. Add 2 "
        "with `engage offers import FILE --offer summer` or `engage offers generate 2 --offer summer`."
    )
    offers.make(2)
    assert offers.queued(dry_run=True).note.endswith("need 3 codes of the offer summer, which has 3 free.")
    assert offers.given() == {}
    offers.queued()
    assert len(offers.given()) == 3
    offers.queued(dry_run=True)  # it drops the queue
    assert offers.given() == {}


# --- which codes


def test_codes_that_expire_first_are_given_first_and_those_that_expire_too_soon_never(world, offers):
    offers.bought(3)
    offers.add("never")
    offers.add("last", expires_at=world.now + 9 * DAY)
    offers.add("next", expires_at=world.now + DAY)
    offers.add("soon", expires_at=world.now + DAY - timedelta(microseconds=1))
    offers.add("gone", expires_at=world.now - DAY)
    offers.computed()
    offers.queued()
    assert set(offers.given().values()) == {"next", "last", "never"}
    assert offers.given()[1] == "next"


def test_a_code_that_expires_while_the_campaign_waits_is_not_sent(world, offers):
    offers.bought(2)
    offers.add("soon", expires_at=world.now + DAY)
    offers.add("late", expires_at=world.now + 2 * DAY)
    offers.computed()
    offers.queued()
    world.now += DAY
    offers.send()
    assert world.ledger() == {1: "skipped/code_expired", 2: "accepted"}
    assert offers.bodies() == {2: "Show late. Reply STOP"}


# --- again


def test_a_queue_that_is_made_anew_returns_its_codes_and_takes_some_again(world, offers):
    offers.bought(3)
    offers.make(4)
    offers.computed()
    offers.queued()
    offers.opt_out(2)
    offers.queued()
    assert set(offers.given()) == {1, 3}
    assert len(offers.free()) == 2
    world.computed()
    offers.queued()
    assert (offers.given(), len(offers.free())) == ({}, 4)
    assert world.rows("SELECT DISTINCT customer_id, segment, variant FROM offer_code") == [(None, None, None)]


def test_a_code_of_a_queue_that_was_redeemed_already_is_not_given_again(world, offers):
    offers.bought(1)
    offers.add("leaked", "fresh", expires_at=world.now + 2 * DAY)
    offers.computed()
    offers.queued()
    [first] = offers.given().values()
    world.execute(sa.update(offer_code).where(offer_code.c.code == first).values(redeemed_at=world.now))
    offers.queued()
    assert offers.given()[1] == ({"leaked", "fresh"} - {first}).pop()
    assert world.rows(sa.select(offer_code.c.redeemed_at).where(offer_code.c.code == first)) == [(world.now,)]


def test_a_frozen_campaign_keeps_its_codes(world, offers):
    offers.bought(3)
    offers.make(6)
    offers.computed()
    offers.queued()
    given = offers.given()
    offers.opt_out(2)
    offers.send()
    world.computed()
    for options in ({}, {"dry_run": True}):
        offers.queued(**options)
        world.message(**options)
    assert offers.given() == given
    assert world.ledger()[2] == "skipped/opted_out"
    assert set(offers.bodies()) == {1, 3}


def test_the_next_campaign_takes_other_codes(world, offers, in_window):
    offers.bought(2)
    offers.make(3)
    earlier = computed_before(offers, in_window)
    earlier.queued()
    with pytest.raises(TooFewCodes, match="need 2 codes of the offer summer, which has 1 free"):
        offers.queued()
    offers.make(1)
    offers.queued()
    assert world.value("SELECT count(DISTINCT (window_start, customer_id)) FROM offer_code") == 4
