"""Offer codes from the claim on: what is sent, who is forgotten, what is counted, and campaigns at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.customers import erasure
from engage.errors import NoOfferCode, TooFewCodes
from engage.reports import redemptions
from engage.reports.redemptions import Redemptions
from engage.sending import claims, offer_codes, takeover
from engage.settings import validate
from engage.storage import database_roles, partitions
from engage.storage.schema import message
from tests.integration.offers import TEXT, computed_before, reward
from tests.waiting import until

DAY = timedelta(days=1)
EVERYTHING = ("campaign", "message", "message_count", "offer_code")


# --- at once


def test_two_campaigns_at_once_share_no_code(world, offers, in_window):
    """Nor does one of them wait for the other for ever, however often they queue anew."""
    offers.bought(40)
    both = [offers, computed_before(offers, in_window)]
    offers.make(80)
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(each.queued) for _ in range(5) for each in both]:
            assert done.result().by_status == {"queued": 40}
    assert world.value("SELECT count(DISTINCT (window_start, customer_id)) FROM offer_code") == 80
    assert offers.free() == set()


def test_of_two_campaigns_at_once_the_second_finds_too_few(world, offers, in_window):
    offers.bought(40)
    both = [offers, computed_before(offers, in_window)]
    offers.make(60)

    def outcome(each):
        try:
            return each.queued().by_status
        except TooFewCodes as exc:
            return str(exc).partition(".")[0]

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(outcome, both))
    assert {"queued": 40} in found
    assert "The messages to BOOST need 40 codes of the offer summer, which has 20 free" in found
    assert len(offers.free()) == 20


def test_a_campaign_takes_its_turn_before_it_reads_the_ledger(world, offers, in_window):
    """So a campaign that waits for codes holds no lock that the other one's swap needs."""
    offers.bought(2)
    offers.make(4)
    other = computed_before(offers, in_window)
    with ThreadPoolExecutor(1) as threads, world.engine.begin() as conn:
        offer_codes.take_turns(conn, validate({"offer": "summer"}))
        waiting = threads.submit(other.queued)
        until(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "the other campaign waits")
        held = "SELECT relation::regclass::text FROM pg_locks WHERE granted AND pid <> pg_backend_pid()"
        assert not {name for (name,) in world.rows(held) if name and name.startswith("message")}
        partitions.clear(conn, message, world.window)
    assert waiting.result().by_status == {"queued": 2}


# --- the claim


def test_a_message_without_its_code_is_never_sent(world, offers):
    """It cannot happen, so the test removes a code by hand."""
    offers.bought(3)
    offers.make(3)
    offers.computed()
    offers.queued()
    world.execute(sa.text("UPDATE offer_code SET customer_id = NULL WHERE customer_id = 2"))
    with pytest.raises(NoOfferCode, match=r"message to customer 2 of the window 2026-09-14 .* has no offer code"):
        offers.send()
    assert world.ledger() == dict.fromkeys((1, 2, 3), "queued")
    assert offers.bodies() == {}


def test_a_message_that_is_skipped_at_the_claim_keeps_its_code(world, offers):
    offers.bought(2)
    offers.make(2)
    offers.computed()
    offers.queued()
    given = offers.given()
    offers.opt_out(1)
    offers.send()
    assert world.ledger() == {1: "skipped/opted_out", 2: "accepted"}
    assert offers.given() == given


# --- erasure


@pytest.mark.parametrize("sent", [False, True])
def test_of_a_forgotten_customer_the_code_stays_and_the_customer_does_not(world, offers, sent):
    offers.bought(2)
    offers.make(2)
    offers.computed()
    offers.queued()
    codes = set(offers.given().values())
    if sent:
        offers.send()
    erasure.forget(world.engine, 1, as_of=world.now)
    assert set(offers.given()) == {None, 2}
    assert set(offers.given().values()) == codes
    assert set(offers.given("segment").values()) == {"BOOST"}
    erasure.forget(world.engine, 1, as_of=world.now)
    assert world.value("SELECT count(*) FROM message WHERE customer_id < 0") == 1


@pytest.mark.parametrize("role", [database_roles.SERVICE, database_roles.PAGES])
def test_the_service_and_the_pages_may_forget_a_customer_with_a_code(world, offers, url, opened, role):
    offers.bought(1)
    offers.make(1)
    offers.computed()
    offers.queued()
    offers.send()
    erasure.forget(opened(sa.make_url(url).set(username=role)), 1, as_of=world.now)
    assert set(offers.given()) == {None}


def test_the_code_of_a_forgotten_customer_returns_from_an_open_queue(world, offers):
    offers.bought(2)
    offers.make(2)
    offers.computed()
    offers.queued()
    erasure.forget(world.engine, 1, as_of=world.now)
    offers.queued()
    assert set(offers.given()) == {2}
    assert len(offers.free()) == 1


# --- the report


def test_redemptions_are_counted_by_segment_and_variant(world, offers):
    offers.bought(3)
    reward(world, 1)
    offers.make(9)
    offers.computed(message_reward=TEXT)
    offers.queued()
    world.execute(sa.text("UPDATE offer_code SET redeemed_at = added_at WHERE customer_id IN (1, 4)"))
    world.execute(sa.text("UPDATE offer_code SET variant = 'b' WHERE customer_id = 3"))
    with world.engine.begin() as conn:
        assert redemptions.of(conn, world.window) == [
            Redemptions("BOOST", "a", given=2, redeemed=1),
            Redemptions("BOOST", "b", given=1, redeemed=0),
            Redemptions("REWARD", "a", given=1, redeemed=1),
        ]
        assert redemptions.of(conn, world.window.previous()) == []


def test_a_message_that_is_released_and_claimed_again_has_the_same_code(texting, offers):
    texting.customers(2)
    offers.make(2)
    texting.queued(offer="summer", message_boost=TEXT)
    given, world = offers.given(), texting.world
    owned = takeover.take_over(world.engine, world.window, texting.context().provider_named, world.now)
    claims.claim(world.engine, owned, [1, 2], world.now)
    claims.release(world.engine, owned, [], world.now)
    texting.send()
    assert offers.given() == given
    assert offers.bodies() == {n: f"Show {code}. Reply STOP" for n, code in given.items()}
