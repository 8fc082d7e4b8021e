"""Test messages: to a phone on the list, at most once, with STOP first, and outside of every campaign."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
import sqlalchemy as sa

from engage.customers import erasure, suppression
from engage.errors import InputError, NoSuchMessage
from engage.maintenance import maintain
from engage.sending import test_requests as requests
from engage.sending import test_sends as sends
from engage.sending.providers import SandboxProvider
from engage.sending.providers.twilio.provider import TwilioProvider
from engage.settings import validate
from engage.statuses import SuppressionReason
from engage.storage.schema import customer
from engage.texts.phone import phone_hash
from tests import twilio_double
from tests.integration.conftest import KEY
from tests.integration.webhooks import PHONE as RECIPIENT
from tests.phones import fictional_phone

PHONE, OTHER = fictional_phone(7), fictional_phone(8)
ID = UUID(int=1)
TEXT = requests.TextToTry("BOOST", "es", "a", "Hola Ada. Responde STOP.")


def settings(phones=f"{PHONE}, {OTHER}", provider="twilio"):
    return validate({"test_phones": phones, "sms_provider": provider})


def asked(world, number=1, *, to=PHONE, by="ada", text=TEXT, chosen=None, at=None):
    with world.engine.begin() as conn:
        return requests.request(
            conn, UUID(int=number), text, to=to, by=by, settings=chosen or settings(), as_of=at or world.now
        )


def sent(world, double, number=1, *, chosen=None, at=None):
    return sends.send(
        world.engine,
        UUID(int=number),
        lambda name: SandboxProvider() if name == "sandbox" else TwilioProvider(double.account, 5.0),
        settings=chosen or settings(),
        hash_key=KEY,
        clock=lambda: at or world.now,
    )


def kept(world):
    """What the row keeps of the number and the text."""
    return world.rows("SELECT phone, body FROM test_send")


# --- sending


def test_the_text_goes_to_the_phone_through_the_provider_marked_as_a_test(world, double):
    assert asked(world)
    found = sent(world, double)
    [post] = double.posts
    assert (post.form["To"], post.form["Body"]) == (PHONE, "TEST Hola Ada. Responde STOP.")
    assert (found.status, found.provider, found.provider_message_id) == ("accepted", "twilio", post.sid)
    assert (found.segment, found.language, found.variant, found.to, found.requested_by) == (
        "BOOST", "es", "a", f"…{PHONE[-2:]}", "ada",
    )  # fmt: skip
    assert kept(world) == [(None, None)]
    assert world.value("SELECT phone_hash FROM test_send") == phone_hash(PHONE, KEY)


def test_the_sandbox_takes_it_and_sends_nothing(world, double):
    chosen = settings(provider="sandbox")
    asked(world, chosen=chosen)
    found = sent(world, double, chosen=chosen)
    assert (found.status, found.provider, double.posts) == ("accepted", "sandbox", [])


def test_it_is_sent_once_however_often_a_task_runs(world, double):
    asked(world)
    for _ in range(3):
        assert sent(world, double).status == "accepted"
    assert len(double.posts) == 1


def test_two_processes_at_once_send_it_once(world, double):
    asked(world)
    barrier = Barrier(2)

    def one(_):
        barrier.wait()
        return sent(world, double)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2)))
    assert len(double.posts) == 1
    assert world.value("SELECT status FROM test_send") == "accepted"


def test_one_that_an_earlier_process_has_claimed_is_not_sent_again(world, double):
    asked(world)
    world.execute(sa.text("UPDATE test_send SET status = 'sending', phone = null, body = null"))
    found = sent(world, double)
    assert (found.status, found.error) == ("unknown", "the process that sent it ended before the provider's answer")
    assert double.posts == []


def test_an_id_without_a_request_is_an_error(world, double):
    with pytest.raises(NoSuchMessage, match="There is no test message with the id"):
        sent(world, double, 9)


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (twilio_double.RESET, "unknown", "the provider did not answer (ConnectionError)"),
        (
            twilio_double.TOO_MANY,
            "failed",
            "twilio does not take it now: too many requests (error 20429); send",
        ),
        (twilio_double.UNREACHABLE, "failed", "twilio does not take it: "),
        (twilio_double.Fault(401, 20003), "failed", "twilio takes no messages: "),
    ],
)
def test_what_the_provider_does_with_it_is_said(world, double, fault, status, error):
    double.fault = lambda post: fault
    asked(world)
    found = sent(world, double)
    assert found.status == status
    assert str(found.error).startswith(error)
    assert kept(world) == [(None, None)]


def test_without_an_account_it_says_what_is_missing(world):
    asked(world)

    def none(name):
        raise InputError("Airflow has no connection engage_sms.")

    found = sends.send(world.engine, ID, none, settings=settings(), hash_key=KEY, clock=lambda: world.now)
    assert (found.status, found.error) == ("failed", "Airflow has no connection engage_sms.")


# --- to whom


@pytest.mark.parametrize("spelling", [PHONE, f" {PHONE} "])
def test_the_number_is_compared_in_its_canonical_form(world, spelling):
    assert asked(world, to=spelling)


@pytest.mark.parametrize("to", [fictional_phone(9), "", "187", "+1", "no number", "🙂"])
def test_only_a_number_on_the_list_is_taken_and_the_sentence_has_none_in_full(world, to):
    with pytest.raises(InputError) as refused:
        asked(world, to=to)
    assert str(refused.value) == (
        "A test message goes only to a number of engage_test_phones, and this one is not there. The list has "
        f"…{PHONE[-2:]}, …{OTHER[-2:]}. Add the number to it, or choose another."
    )
    assert world.rows("SELECT 1 FROM test_send") == []


def test_without_a_list_it_says_what_to_set(world):
    with pytest.raises(InputError, match=r"There is no phone for test messages\. Set engage_test_phones to"):
        asked(world, chosen=settings(""))


def test_a_number_that_left_the_list_meanwhile_gets_none(world, double):
    asked(world)
    found = sent(world, double, chosen=settings(OTHER))
    assert (found.status, found.error) == ("refused", "the number is no longer on the list engage_test_phones")
    assert double.posts == []


@pytest.mark.parametrize("how", ["suppressed", "customer"])
def test_a_stop_wins(world, double, how):
    asked(world)
    if how == "suppressed":
        with world.engine.begin() as conn:
            suppression.suppress(
                conn, phone_hash(PHONE, KEY), reason=SuppressionReason.STOP, source="a text", as_of=world.now
            )
    else:
        world.customer(phone=PHONE, opted_out_at=world.now)
    found = sent(world, double)
    assert (found.status, found.error) == ("refused", "the phone has opted out; a START from it ends that")
    assert double.posts == []


def test_a_stop_that_the_provider_knows_suppresses_the_phone(world, double):
    double.fault = lambda post: twilio_double.UNSUBSCRIBED
    asked(world)
    assert sent(world, double).status == "failed"
    assert world.rows("SELECT phone_hash, reason FROM suppression") == [(phone_hash(PHONE, KEY), "provider")]
    assert world.rows("SELECT phone_hash, state FROM consent_event") == [(phone_hash(PHONE, KEY), "refused")]


# --- how often


def test_an_id_is_one_request(world):
    assert asked(world)
    assert not asked(world, text=requests.TextToTry("REWARD", "", "a", "Other. Reply STOP."))
    assert world.rows("SELECT segment FROM test_send") == [("BOOST",)]


def test_a_double_click_is_one_request(world):
    barrier = Barrier(4)

    def one(_):
        barrier.wait()
        return asked(world)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == [False, False, False, True]


def test_a_user_sends_at_most_twenty_within_an_hour(world):
    for number in range(20):
        assert asked(world, number, at=world.now + timedelta(minutes=number))
    with pytest.raises(InputError) as refused:
        asked(world, 20, at=world.now + timedelta(minutes=30))
    assert str(refused.value) == (
        "You have sent 20 test messages within the hour, and 20 are allowed. Send the next one from 10:00 UTC."
    )
    assert asked(world, 21, by="ben", at=world.now + timedelta(minutes=30))
    assert asked(world, 20, at=world.now + timedelta(minutes=60))


def test_one_that_waits_for_more_than_ten_minutes_is_not_sent(world, double):
    asked(world)
    late = world.now + timedelta(minutes=10, seconds=1)
    with world.engine.connect() as conn:
        assert requests.find(conn, ID, as_of=world.now).status == "waiting"
        assert requests.find(conn, ID, as_of=late).status == "refused"
    found = sent(world, double, at=late)
    assert (found.status, found.error) == ("refused", "it waited for more than 10 minutes")
    assert double.posts == []


# --- outside of campaigns


def test_no_campaign_count_or_cap_knows_of_it(world, double):
    world.purchase(world.customer(phone=PHONE, time_zone="America/New_York"), 100)
    world.computed()
    before = world.dump("campaign", "message", "message_count", "customer", "suppression", "alert")
    asked(world)
    sent(world, double)
    assert world.dump(*before) == before
    assert world.message().by_status == {"accepted": 1}  # the customer's own message goes out as well


class Recording(SandboxProvider):
    """A provider that keeps what it got."""

    def send(self, sms):
        self.sms = sms
        return super().send(sms)


def test_its_receipts_change_nothing(sending):
    world, provider = sending.world, Recording()
    chosen = settings(RECIPIENT)  # a customer of the campaign who is a member of the staff
    asked(world, to=RECIPIENT, chosen=chosen)
    found = sends.send(world.engine, ID, lambda name: provider, settings=chosen, hash_key=KEY, clock=lambda: world.now)
    before = sending.dump()
    for status in ("sent", "delivered", "undelivered", "failed"):
        sid, reference = f"SM{found.test_send_id.hex}", provider.sms.reference
        sending.receipt(status, sid=sid, reference=reference, ErrorCode="30005")
    assert sending.dump() == before
    assert sending.counted("receipts", "outcome") == {"unknown_message": 4}


def test_the_newest_are_listed_without_number_and_text(world, double):
    for number in range(3):
        asked(world, number, at=world.now + timedelta(minutes=number))
    with world.engine.connect() as conn:
        found = requests.latest(conn, limit=2, as_of=world.now)
        assert [one.test_send_id.int for one in found] == [2, 1]
        earlier = requests.latest(conn, limit=9, as_of=world.now, before=world.now + timedelta(minutes=1))
        assert [one.test_send_id.int for one in earlier] == [1, 0]
    assert PHONE not in repr(found)
    assert "Hola" not in repr(found)


@pytest.mark.parametrize("waits", [True, False])
def test_a_forgotten_customer_leaves_no_test_message(world, double, waits):
    forgotten = world.customer(phone=PHONE)
    asked(world)
    asked(world, 2, to=OTHER)
    if not waits:
        sent(world, double)
    erasure.forget(world.engine, forgotten, as_of=world.now)
    assert world.rows("SELECT test_send_id FROM test_send") == [(UUID(int=2),)]
    assert world.rows(sa.select(customer.c.customer_id)) == []


def test_maintenance_deletes_old_ones_and_those_that_no_process_has_taken(world, double):
    for number in range(2):
        asked(world, number)
    sent(world, double)
    after = [timedelta(minutes=59), timedelta(hours=2), timedelta(days=89), timedelta(days=91)]
    assert [maintain(world.engine, 13, as_of=world.now + one).test_messages for one in after] == [0, 1, 0, 1]
