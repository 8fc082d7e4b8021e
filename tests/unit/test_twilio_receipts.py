"""Twilio's status callbacks and error numbers, in Engage's terms."""

import re
from pathlib import Path

import pytest

from engage.sending.providers import Outcome, Receipt
from engage.sending.providers.twilio import error_codes
from engage.sending.providers.twilio.receipts import STATUSES, receipt_of
from engage.statuses import MESSAGE_MOVES, MessageStatus, ProviderFact

PACKAGE = Path(error_codes.__file__).parent
ENGAGE = PACKAGE.parents[2]
SID = "SM" + "1" * 32
REFERENCE = "20260914-1"
PHONE = "+12015550100"


def form(**fields):
    return {"MessageSid": SID, "To": PHONE, "MessageStatus": "undelivered", **fields}


@pytest.mark.parametrize(
    ("code", "error", "fact"),
    [
        (21610, "has told the provider to stop", ProviderFact.OPTED_OUT),
        (21211, "not a valid number", ProviderFact.NUMBER_INVALID),
        (21614, "not a mobile number", ProviderFact.NOT_MOBILE),
        (30003, "unreachable", ProviderFact.UNREACHABLE),
        (30004, "blocked", ProviderFact.BLOCKED),
        (30005, "unknown number", ProviderFact.NUMBER_INVALID),
        (30006, "a landline", ProviderFact.NOT_MOBILE),
        (30007, "filtered as spam", ProviderFact.FILTERED),
        (30008, "not delivered", None),
        (30034, "the sender's number is not registered", ProviderFact.SENDER_NOT_REGISTERED),
        (99999, "an error that Engage does not know", None),
    ],
)
def test_a_receipt_says_why_a_message_did_not_arrive(code, error, fact):
    expected = Receipt(REFERENCE, SID, PHONE, MessageStatus.UNDELIVERED, error, code, fact)
    assert receipt_of(form(ErrorCode=str(code)), REFERENCE) == expected


@pytest.mark.parametrize("code", ["", "none", "99999999999999999999", "-1", "٣", "30003.0"])
def test_an_error_code_that_is_no_number_is_left_out(code):
    assert receipt_of(form(ErrorCode=code), REFERENCE) == Receipt(REFERENCE, SID, PHONE, MessageStatus.UNDELIVERED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"MessageStatus": ""},
        {"MessageStatus": "receiving"},
        {"MessageSid": ""},
        {"MessageSid": SID + "1"},
        {"To": ""},
        {"To": "whatsapp:+12015550100"},
        {"To": "12345"},
    ],
)
def test_a_form_without_a_status_an_id_and_a_recipient_of_twilios_is_no_receipt(wrong):
    assert receipt_of(form(**wrong), REFERENCE) is None
    assert receipt_of({}, REFERENCE) is None


def test_every_status_is_one_that_a_message_of_unknown_outcome_may_move_to():
    assert set(STATUSES.values()) == set(MESSAGE_MOVES[MessageStatus.UNKNOWN])


def test_only_an_error_that_ends_a_message_is_a_fact_about_it():
    known = [error_codes.explain(code) for code in range(100_000)]
    assert {error.outcome for error in known if error.fact} == {Outcome.FAILED}
    assert {error.fact for error in known if error.fact} == set(ProviderFact)


def test_no_other_code_knows_an_error_number():
    known = {str(code) for code in range(100_000) if error_codes.explain(code).outcome}
    files = [file for file in ENGAGE.rglob("*.py") if PACKAGE not in file.parents and file.parent.name != "versions"]
    found = {file.name: known & set(re.findall(r"\b\d{5}\b", file.read_text())) for file in files}
    assert len(known) > 30
    assert {name: numbers for name, numbers in found.items() if numbers} == {}
