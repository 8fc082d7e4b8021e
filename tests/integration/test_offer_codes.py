"""Each message whose text names an offer code gets one of its own, and no code goes into two messages."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.errors import NoOfferCode, TooFewCodes
from engage.reports import redemptions
from engage.reports.redemptions import Redemptions
from engage.sending import claims, offer_codes, queue, takeover
from engage.settings import validate
from engage.storage import database_roles, partitions
from engage.storage.schema import message, offer_code
from tests.integration.offers import TEXT, Offers
from tests.waiting import until

DAY = timedelta(days=1)
EVERYTHING = ("campaign", "message", "message_count", "offer_code")


def computed_before(offers, in_window):
    """The offers of the window before; the campaigns of both windows are computed, and may be queued."""
    earlier = Offers(in_window(offers.world.window.previous()))
    earlier.world.purchase(1, 100)
    for each in (earlier, offers):
        each.computed(min_days_between_messages="0", send_within_days="100")
    return earlier


def reward(world, customers):
    """Customers in REWARD, whose text names no code."""
    for _ in range(customers):
        id_ = world.customer()
        world.sessions(id_, 48)
        world.purchase(id_, 200_00)


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
