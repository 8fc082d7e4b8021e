"""Opt-outs and consents over HTTP: an opt-out holds until a later consent, and which consent ends a stop by text."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.customers import suppression
from engage.sending import queue
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.integration.customers import ADA, PHONE, told
from tests.phones import fictional_phone

# --- opting out, and consenting again


def test_an_opt_out_keeps_its_first_time(customers, world):
    customers.put(ADA)
    assert told(customers.opt_out())["opted_out_at"] == "2026-11-10T09:00:00Z"
    world.now += timedelta(days=1)
    before = customers.dump()
    assert told(customers.opt_out())["opted_out_at"] == "2026-11-10T09:00:00Z"
    assert customers.dump() == before


@pytest.mark.parametrize(
    ("after", "ends"),
    [
        (timedelta(seconds=1), True),
        (timedelta(0), False),
        (-timedelta(1), False),
        (timedelta(hours=1, seconds=1), False),  # a second from now
    ],
)
def test_only_a_consent_later_than_the_opt_out_and_not_in_the_future_ends_it(customers, world, after, ends):
    customers.put(ADA)
    customers.opt_out()
    world.execute(sa.text("UPDATE customer SET opted_out_at = opted_out_at - interval '1 hour'"))
    since = "2026-11-10T08:00:00Z"
    assert told(customers.put(ADA))["opted_out_at"] == since
    consent = {"source": "a call", "at": (world.now - timedelta(hours=1) + after).isoformat()}
    assert told(customers.put({**ADA, "consent": consent}))["opted_out_at"] == (None if ends else since)
    assert told(customers.put({**ADA, "consent": None}))["opted_out_at"] == (None if ends else since)


def test_a_consent_that_was_known_before_the_opt_out_ends_nothing_however_late_it_is_dated(customers, world):
    ahead = {**ADA, "consent": {"source": "a phone whose clock is wrong", "at": "2026-11-10T09:04:00Z"}}
    customers.put(ahead)
    customers.opt_out()
    world.execute(sa.text("UPDATE customer SET opted_out_at = opted_out_at - interval '1 day'"))
    world.execute(sa.text("UPDATE customer SET consent_at = consent_at - interval '64 minutes'"))
    known = {**ADA, "consent": {"source": "a phone whose clock is wrong", "at": "2026-11-10T08:00:00Z"}}
    assert told(customers.put(known))["opted_out_at"] == "2026-11-09T09:00:00Z"


@pytest.mark.parametrize("later", [fictional_phone(8), None])
def test_an_opt_out_stays_with_the_phone_when_the_customer_gets_another_one(customers, later):
    customers.put(ADA)
    customers.opt_out()
    customers.put({**ADA, "phone": later})
    assert told(customers.put(ADA, 4712), 201)["suppressed"] is True
    assert told(customers.get())["suppressed"] is False
    customers.put(ADA)
    assert told(customers.get())["suppressed"] is True


def test_an_opt_out_between_queueing_and_sending_wins_for_all_who_share_the_phone(customers, world):
    for id_, phone in ((1, PHONE), (2, fictional_phone(8)), (3, fictional_phone(9))):
        customers.put({**ADA, "phone": phone}, id_)
        world.purchase(id_, 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    assert set(world.ledger().values()) == {"queued"}
    customers.put({**ADA, "phone": PHONE}, 4)
    assert customers.opt_out(4).status_code == customers.opt_out(2).status_code == 200
    world.message()
    assert world.ledger() == {1: "skipped/opted_out", 2: "skipped/opted_out", 3: "accepted"}


# --- a consent after a stop by text


REVOKED = datetime(2026, 11, 10, 8, tzinfo=UTC)


@pytest.fixture
def revoked(customers, world):
    """Ada has told us by text, in other words than a keyword, to stop."""
    customers.put(ADA)
    suppressed(world, "revocation")
    return customers


def suppressed(world, reason, at=REVOKED):
    with world.engine.begin() as conn:
        suppression.suppress(conn, phone_hash(PHONE, KEY), reason=reason, source="a test", as_of=at)


def consenting(at, **more):
    return {**ADA, "consent": {"source": "app settings", "at": at.isoformat()}, **more}


@pytest.mark.parametrize(
    ("after", "ends"),
    [
        (timedelta(seconds=1), True),
        (timedelta(hours=1), True),
        (timedelta(0), False),
        (-timedelta(days=1), False),
        (timedelta(hours=1, seconds=1), False),  # a second from now
    ],
)
def test_a_later_consent_ends_a_stop_in_other_words_than_a_keyword(revoked, after, ends):
    assert told(revoked.put(consenting(REVOKED + after)))["suppressed"] is not ends


@pytest.mark.parametrize("reason", ["stop", "provider", "erasure"])
def test_a_later_consent_ends_no_other_suppression(customers, world, reason):
    customers.put(ADA)
    suppressed(world, reason)
    assert told(customers.put(consenting(world.now)))["suppressed"] is True


def test_a_keyword_after_other_words_is_lifted_by_no_consent(revoked, world):
    suppressed(world, "stop")
    assert told(revoked.put(consenting(world.now)))["suppressed"] is True


def test_a_consent_between_two_texts_does_not_end_the_later_one(revoked, world):
    suppressed(world, "revocation", REVOKED + timedelta(minutes=30))
    suppressed(world, "revocation", REVOKED)  # the first one once more: it does not take back the later time
    assert told(revoked.put(consenting(REVOKED + timedelta(minutes=15))))["suppressed"] is True
    assert told(revoked.put(consenting(REVOKED + timedelta(minutes=45))))["suppressed"] is False


def test_a_consent_that_was_known_before_the_text_ends_nothing(customers, world):
    customers.put(consenting(world.now))
    suppressed(world, "revocation")
    for body in (consenting(world.now), consenting(world.now, name="Ada King"), {**ADA, "consent": None}):
        assert told(customers.put(body))["suppressed"] is True


def test_a_consent_with_another_phone_ends_nothing_of_the_first(revoked, world):
    revoked.put(consenting(world.now, phone=fictional_phone(8)))
    assert told(revoked.put(ADA, 4712), 201)["suppressed"] is True


def test_a_new_customer_with_the_phone_who_consents_later_ends_the_stop(revoked, world):
    assert told(revoked.put(ADA, 4712), 201)["suppressed"] is True
    assert told(revoked.put(consenting(world.now), 4713), 201)["suppressed"] is False
    assert told(revoked.get())["suppressed"] is False


def test_after_a_consent_the_phone_is_texted_again_and_a_new_stop_holds(revoked, world):
    world.purchase(4711, 100)
    world.computed()
    revoked.put(consenting(world.now))
    world.message()
    assert world.ledger() == {4711: "accepted"}
    with world.engine.begin() as conn:
        later = world.now + timedelta(minutes=1)
        suppression.suppress(conn, phone_hash(PHONE, KEY), reason="revocation", source="a test", as_of=later)
    assert told(revoked.put(consenting(world.now)))["suppressed"] is True
