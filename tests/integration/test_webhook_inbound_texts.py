"""Texts from customers, as Twilio reports them: STOP, START, other words, and what is kept of them."""

import logging
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.customers import erasure
from engage.storage.schema import message
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.integration.webhooks import INBOUND, texted
from tests.phones import fictional_phone


@pytest.mark.parametrize(
    ("body", "more", "source"),
    [
        ("STOP", {}, "inbound text: stop"),
        ("please don't text me again", {}, "inbound text: revocation"),
        ("NOMAS", {"OptOutType": "STOP"}, "inbound text: stop"),
    ],
)
def test_a_stop_after_queueing_wins(webhooks, body, more, source):
    webhooks.text(body, **more)
    assert webhooks.suppressed() == [(source.removeprefix("inbound text: "), source)]
    assert webhooks.world.message().by_status == {"skipped": 1}
    assert webhooks.world.ledger() == {1: "skipped/suppressed"}


@pytest.mark.parametrize("body", ["when do you stop serving breakfast?", "HELP", "", "START", "🍔"])
def test_other_texts_suppress_nobody(webhooks, body):
    webhooks.text(body)
    assert webhooks.suppressed() == []
    assert webhooks.world.message().by_status == {"accepted": 1}


def test_start_after_stop_lets_the_phone_be_texted_again(webhooks):
    webhooks.text("STOP")
    webhooks.text("START")
    assert webhooks.suppressed() == []
    assert webhooks.world.message().by_status == {"accepted": 1}


def test_a_start_that_comes_again_after_a_second_stop_changes_nothing(webhooks):
    webhooks.text("STOP")
    start = webhooks.text("START")
    stop = webhooks.text("STOP")
    before = webhooks.dump()
    webhooks.world.now += timedelta(minutes=1)
    webhooks.text("START", sid=start)
    webhooks.text("STOP", sid=stop)
    webhooks.text("START", sid=stop)
    assert webhooks.dump() == before
    assert webhooks.counted("inbound", "text_class") == {"stop": 2, "start": 1, "repeated": 3}


def test_of_two_stops_by_keyword_the_first_stays(webhooks):
    webhooks.text("STOP")
    first = webhooks.world.dump("suppression")
    webhooks.world.now += timedelta(minutes=1)
    webhooks.text("STOP")
    assert webhooks.world.dump("suppression") == first


def test_of_two_stops_in_other_words_the_last_counts(webhooks):
    webhooks.text("stop texting me")
    webhooks.world.now += timedelta(minutes=1)
    webhooks.text("stop texting me")
    assert webhooks.world.rows("SELECT reason, suppressed_at FROM suppression") == [("revocation", webhooks.world.now)]


@pytest.mark.parametrize("bodies", [("STOP", "stop texting me"), ("stop texting me", "STOP")])
def test_of_a_keyword_and_other_words_the_keyword_stays(webhooks, bodies):
    for body in bodies:
        webhooks.text(body)
    assert webhooks.suppressed() == [("stop", "inbound text: stop")]
    webhooks.text("START")
    assert webhooks.suppressed() == []


def test_a_start_ends_a_stop_in_other_words(webhooks):
    webhooks.text("please stop texting me")
    webhooks.text("START")
    assert webhooks.suppressed() == []


OURS = "Stop cooking tonight! Dinner is on us. Text STOP to end"


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (f"Loved “{OURS}”", []),
        (f"{OURS} haha see you", []),
        (f"“{OURS}” Stop texting me", ["revocation"]),
        (OURS, []),
    ],
)
def test_a_text_that_quotes_our_message_is_judged_by_what_else_it_says(webhooks, body, reasons):
    webhooks.world.execute(sa.update(message).values(status="sending", sending_at=webhooks.world.now, body=OURS))
    webhooks.text(body)
    assert [reason for reason, _ in webhooks.suppressed()] == reasons


def test_a_start_ends_no_opt_out_that_was_made_in_the_app(webhooks):
    webhooks.world.execute(sa.text("UPDATE customer SET opted_out_at = '2026-11-01'"))
    before = webhooks.world.dump("customer")
    webhooks.text("START")
    assert webhooks.world.dump("customer") == before
    webhooks.world.message()
    assert webhooks.world.ledger() == {1: "skipped/opted_out"}


@pytest.mark.parametrize("stopped_before", [False, True])
def test_a_start_does_not_bring_back_who_was_forgotten(webhooks, stopped_before):
    if stopped_before:
        webhooks.text("STOP")
    erasure.forget(webhooks.world.engine, 1, as_of=webhooks.world.now)
    webhooks.text("START")
    assert webhooks.suppressed() == [("erasure", "forgotten on request")]


def test_a_start_of_one_phone_is_not_anothers(webhooks):
    webhooks.text("STOP")
    webhooks.text("START", sender=fictional_phone(1))
    assert webhooks.suppressed() == [("stop", "inbound text: stop")]


def test_what_is_kept_of_a_text_is_neither_the_text_nor_the_number(webhooks, caplog):
    caplog.set_level(logging.DEBUG)
    body = "Please take me off, this is Augusta King"
    sid = webhooks.text(body, sender=fictional_phone(7))
    rows = webhooks.world.rows("SELECT * FROM inbound_sms")
    assert rows == [(sid, phone_hash(fictional_phone(7), KEY), "revocation", webhooks.world.now)]
    for trace in ("Augusta", fictional_phone(7), fictional_phone(7)[2:]):
        assert trace not in str(webhooks.world.dump("inbound_sms", "suppression"))
        assert trace not in caplog.text


def test_a_stop_counts_for_the_phone_however_its_number_is_spelled(webhooks):
    webhooks.text("STOP", sender="+4407400123456")
    webhooks.text("STOP", sender="+447400123456")
    webhooks.text("STOP", sender="+999000000001")  # of no known country, and a stop all the same
    suppressed = {row[0] for row in webhooks.world.rows("SELECT phone_hash FROM suppression")}
    assert suppressed == {phone_hash(phone, KEY) for phone in ("+447400123456", "+999000000001")}


@pytest.mark.parametrize(
    "sender", ["12345", "", "whatsapp:+12025550123", "2025550123", "+0202", "+1202555012345678", "BURGER", "+1\x002"]
)
def test_what_comes_from_no_phone_is_ignored(webhooks, sender):
    before = webhooks.dump()
    assert webhooks.post(INBOUND, texted("STOP", sender=sender)).status_code == 200
    assert webhooks.dump() == before
    assert webhooks.counted("inbound", "text_class") == {"ignored": 1}


@pytest.mark.parametrize("sid", ["", "\x00", "SM1", "x" * 5000])
def test_a_text_without_a_message_id_is_ignored(webhooks, sid):
    before = webhooks.dump()
    assert webhooks.post(INBOUND, texted("STOP", sid=sid)).status_code == 200
    assert webhooks.dump() == before


def test_each_class_is_counted(webhooks):
    for body in ("STOP", "stop it please", "START", "INFO", "hello", "hello"):
        webhooks.text(body)
    assert webhooks.counted("inbound", "text_class") == {
        "stop": 1, "revocation": 1, "start": 1, "help": 1, "other": 2,
    }  # fmt: skip
