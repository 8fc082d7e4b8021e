"""Twilio's receipts: each counts once, and their order does not matter."""

import itertools
from dataclasses import replace

import pytest
import sqlalchemy as sa

from engage.sending.delivery_health import ReceiptJudge
from engage.sending.providers import OutgoingSms
from engage.sending.providers.twilio.provider import TwilioProvider
from engage.storage.schema import message
from tests.integration.webhooks import MESSAGE, PHONE, PUBLIC, STATUS, state
from tests.phones import fictional_phone
from tests.twilio_double import SID


@pytest.mark.parametrize("end", ["delivered", "undelivered", "failed"])
def test_receipts_in_any_order_and_twice_end_in_the_same_state(accepted, end):
    ends = []
    for order in set(itertools.permutations(["queued", "sending", "sent", "sent", end])):
        for reported in order:
            accepted.receipt(reported)
        ends += accepted.world.rows("SELECT status, provider_message_id, settled_at FROM message")
        reset(accepted)
    assert len(ends) == 60
    assert set(ends) == {(end, MESSAGE, accepted.world.now)}


def reset(webhooks, **values):
    """Put the message back to where ``accepted`` leaves it, or elsewhere."""
    blank = dict.fromkeys(["settled_at", "sent_at", "error", "error_code", "fact"])
    values = {"status": "accepted", **blank, **values}
    webhooks.world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    webhooks.world.execute(sa.update(message).values(**values))
    webhooks.world.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))


def test_of_two_ends_the_first_that_is_told_stays(accepted):
    for first, second in itertools.permutations(["delivered", "undelivered"]):
        accepted.receipt(first)
        accepted.receipt(second)
        accepted.receipt("sent")
        assert state(accepted) == first
        reset(accepted)


def test_a_receipt_may_come_before_the_sender_has_written_down_that_the_message_was_accepted(sending):
    sending.receipt("delivered")
    assert sending.world.rows("SELECT status, provider_message_id FROM message") == [("delivered", MESSAGE)]


def test_a_receipt_settles_a_message_of_unknown_fate(sending):
    sending.world.execute(sa.update(message).values(status="unknown"))
    sending.receipt("undelivered", ErrorCode="30003")
    assert sending.world.rows("SELECT status, error_code, error, fact FROM message") == [
        ("undelivered", 30003, "unreachable", "unreachable")
    ]


def test_what_engage_does_not_know_is_accepted_and_counted(accepted):
    before = accepted.dump()
    accepted.receipt("delivered", sid="SM" + "f" * 32)
    for reference in ("20260914-99", "nonsense", "%00", "%20", "x" * 5000):
        accepted.receipt("delivered", reference=reference)
    for sid in ("", "SM", "\x00", "x" * 5000):
        accepted.receipt("delivered", sid=sid)
    for status in ("", "Delivered", "receiving", "\x00"):
        accepted.receipt(status)
    assert accepted.dump() == before
    assert accepted.counted("receipts", "outcome") == {"unknown_message": 10, "unknown_status": 4}


@pytest.mark.parametrize("before", ["sending", "unknown", "accepted"])
@pytest.mark.parametrize("to", [fictional_phone(1), "", f"whatsapp:{PHONE}", PHONE[1:], f"{PHONE}\x00", f" {PHONE}"])
def test_a_receipt_for_another_recipient_settles_nothing_and_suppresses_nothing(accepted, before, to):
    reset(accepted, status=before, provider_message_id=MESSAGE if before == "accepted" else None)
    everything = accepted.dump()
    accepted.receipt("undelivered", To=to, ErrorCode="21610")
    assert accepted.dump() == everything
    assert accepted.counted("receipts", "outcome") == {"unknown_message": 1}


@pytest.mark.parametrize(("status", "judged"), [("undelivered", 1), ("failed", 1), ("delivered", 0), ("sent", 0)])
def test_a_receipt_that_reports_a_failure_has_its_campaign_judged(accepted, monkeypatch, status, judged):
    seen = []
    monkeypatch.setattr(ReceiptJudge, "judge", lambda self, window, now: seen.append(window))
    accepted.receipt(status)
    assert seen == [accepted.world.window] * judged


def test_a_receipt_without_a_recipient_settles_nothing(accepted):
    everything = accepted.dump()
    form = {"AccountSid": SID, "MessageSid": MESSAGE, "MessageStatus": "delivered"}
    path = f"{STATUS}?message={accepted.world.window.key}-1"
    assert accepted.post(path, form).status_code == 200
    assert accepted.dump() == everything


@pytest.mark.parametrize("reference", ["99991231-1", "99991213-1", "00010101-1", "00000000-1", "20260914-" + "9" * 18])
def test_a_reference_at_the_end_of_time_is_unknown(accepted, reference):
    accepted.receipt("delivered", reference=reference)
    assert accepted.counted("receipts", "outcome") == {"unknown_message": 1}


@pytest.mark.parametrize("code", ["", "none", "99999999999999999999", "-1", "٣", "30003.0"])
def test_an_error_code_that_is_none_is_left_out(accepted, code):
    accepted.receipt("undelivered", ErrorCode=code)
    assert accepted.world.rows("SELECT status, error_code FROM message") == [("undelivered", None)]
    assert accepted.counted("receipts", "outcome") == {"applied": 1}


def test_a_receipt_for_a_message_that_still_waits_changes_nothing(webhooks):
    before = webhooks.dump()
    webhooks.receipt("delivered")
    assert webhooks.dump() == before


def test_a_receipt_says_that_somebody_has_told_the_provider_to_stop(accepted):
    accepted.receipt("undelivered", ErrorCode="21610")
    assert accepted.suppressed() == [("provider", "the provider's receipt")]
    accepted.text("START")
    accepted.receipt("undelivered", ErrorCode="21610")
    assert accepted.suppressed() == []


@pytest.mark.parametrize("code", ["30005", "30006", "21211", "21614"])
def test_a_receipt_of_a_dead_number_suppresses_it_until_a_start(accepted, code):
    accepted.receipt("undelivered", ErrorCode=code)
    assert accepted.suppressed() == [("dead_number", "the provider's receipt")]
    accepted.text("START")
    assert accepted.suppressed() == []


def test_the_double_calls_back_to_the_address_that_the_sender_gave(accepted, double):
    """From the sender's own parameters to the settled message."""
    account = replace(double.account, status_callback=PUBLIC + STATUS)
    reset(accepted, provider_message_id=None, status="sending")
    TwilioProvider(account).send(OutgoingSms(PHONE, "Hello", f"{accepted.world.window.key}-1"))
    [post] = double.posts
    path = post.form["StatusCallback"].removeprefix(PUBLIC)
    accepted.post(path, {"MessageSid": post.sid, "MessageStatus": "delivered", "AccountSid": SID, "To": post.to})
    assert accepted.world.rows("SELECT status, provider_message_id FROM message") == [("delivered", post.sid)]
