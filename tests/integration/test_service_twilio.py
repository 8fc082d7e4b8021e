"""Twilio's webhooks: only genuine requests count, each counts once, and their order does not matter."""

import asyncio
import itertools
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.sending import queue
from engage.sending.delivery_health import ReceiptJudge
from engage.sending.providers import Account, OutgoingSms
from engage.sending.providers.twilio.provider import TwilioProvider
from engage.service import problem_details
from engage.service.context import Context
from engage.service.twilio_webhooks import routes
from engage.storage.schema import message, metadata
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY, World
from tests.phones import fictional_phone
from tests.twilio_double import SENDER, SID, TOKEN

PUBLIC = "https://engage.example.com"
HERE = "http://127.0.0.1:8090"
STATUS, INBOUND = "/v1/providers/twilio/status", "/v1/providers/twilio/inbound"
MESSAGE = "SM" + "a" * 32
ACCOUNT = Account(SID, TOKEN, SENDER)
PHONE = fictional_phone(0)


@dataclass
class Service:
    """One running service with its two webhooks, and Twilio as its client."""

    world: World
    account: Account | None = ACCOUNT
    public_url: str | None = PUBLIC
    numbers: itertools.count = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.context = Context(
            self.world.engine, lambda: self.world.now, KEY, public_url=self.public_url, account=self.account
        )
        self.app = FastAPI()
        problem_details.install(self.app)
        self.app.include_router(routes(self.context))

    def post(self, path, form, *, signed_for=None, token=TOKEN, headers=None):
        """Post a form as Twilio does, signed for the address of the webhook."""
        signature = RequestValidator(token).compute_signature((signed_for or PUBLIC) + path, form)
        return self.post_raw(path, form, {"X-Twilio-Signature": signature} | (headers or {}))

    def post_raw(self, path, form, headers):
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | headers
        return self.send(path, urlencode(form).encode(), headers)

    def send(self, path, content, headers):
        async def answer():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=HERE) as client:
                return await client.post(path, content=content, headers=headers)

        return asyncio.run(answer())

    def receipt(self, status, *, sid=MESSAGE, reference=None, **more):
        reference = reference or f"{self.world.window.key}-1"
        form = {"AccountSid": SID, "MessageSid": sid, "MessageStatus": status, "To": PHONE, **more}
        answer = self.post(f"{STATUS}?message={reference}", form)
        assert (answer.status_code, answer.text) == (200, "<Response/>")
        assert answer.headers["content-type"].startswith("text/xml")

    def text(self, body, *, sid=None, sender=None, **more):
        """Post a customer's text, and return its id, to send it again."""
        sid = sid or f"SM{next(self.numbers):032x}"
        answer = self.post(INBOUND, texted(body, sid, sender or PHONE, **more))
        assert (answer.status_code, answer.text) == (200, "<Response/>")
        return sid

    def counted(self, name, label):
        """The count of each label of a metric."""
        metric = getattr(self.context.metrics, name)
        samples = [sample for family in metric.collect() for sample in family.samples]
        return {s.labels[label]: s.value for s in samples if s.name.endswith("_total")}

    def dump(self) -> dict[str, list[Any]]:
        return self.world.dump(*metadata.tables)

    def suppressed(self):
        return self.world.rows("SELECT reason, source FROM suppression")


def texted(body, sid=MESSAGE, sender=PHONE, **more):
    return {"AccountSid": SID, "MessageSid": sid, "From": sender, "To": SENDER, "Body": body, "NumMedia": "0", **more}


@pytest.fixture
def service(world):
    """A service with one customer's message queued."""
    world.purchase(world.customer(phone=PHONE), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    return Service(world)


@pytest.fixture
def sending(service):
    """The message is claimed, and perhaps handed over."""
    service.world.execute(sa.update(message).values(status="sending", sending_at=service.world.now, provider="twilio"))
    return service


@pytest.fixture
def accepted(sending):
    """The message is accepted as ``MESSAGE``."""
    values = {"status": "accepted", "provider_message_id": MESSAGE, "accepted_at": sending.world.now}
    sending.world.execute(sa.update(message).values(**values))
    return sending


def state(service):
    return service.world.value("SELECT status FROM message")


# --- signatures


RECEIPT = {"AccountSid": SID, "MessageSid": MESSAGE, "MessageStatus": "delivered", "To": PHONE}
REQUESTS = [(f"{STATUS}?message=20260914-1", RECEIPT), (INBOUND, texted("STOP"))]
both = pytest.mark.parametrize(("path", "form"), REQUESTS, ids=["status", "inbound"])


def refused(service, answer):
    assert answer.status_code == 403
    assert answer.headers["content-type"] == problem_details.MEDIA_TYPE
    assert service.counted("receipts", "outcome") == service.counted("inbound", "text_class") == {}


@both
@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": ""}, {"X-Twilio-Signature": "bm9uZSBvZiBpdA=="}])
def test_without_a_right_signature_nothing_at_all_changes(accepted, path, form, headers):
    before = accepted.dump()
    refused(accepted, accepted.post_raw(path, form, headers))
    assert accepted.dump() == before
    accepted.post(path, form)
    assert accepted.dump() != before


@both
def test_a_signature_by_another_token_or_for_another_address_or_form_is_refused(accepted, path, form):
    before = accepted.dump()
    refused(accepted, accepted.post(path, form, token="another"))
    for other in ("https://other.example.com", "http://engage.example.com", HERE):
        refused(accepted, accepted.post(path, form, signed_for=other))
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
    for changed in (form | {"MessageSid": "SM" + "b" * 32}, form | {"More": "x"}, {}):
        refused(accepted, accepted.post_raw(path, changed, {"X-Twilio-Signature": signature}))
    longer = f"{path}{'&' if '?' in path else '?'}more=1"
    refused(accepted, accepted.post_raw(longer, form, {"X-Twilio-Signature": signature}))
    assert accepted.dump() == before


def test_a_signed_query_may_come_in_another_order(accepted):
    reference = f"{accepted.world.window.key}-1"
    form = RECEIPT | {"To": PHONE}
    signed = f"{STATUS}?a=1&message={reference}&b=2"
    signature = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(PUBLIC + signed, form)}
    refused(accepted, accepted.post_raw(f"{STATUS}?b=2&message={reference}", form, signature))
    refused(accepted, accepted.post_raw(f"{STATUS}?b=2&message={reference}&a=2", form, signature))
    assert accepted.post_raw(f"{STATUS}?message={reference}&b=2&a=1", form, signature).status_code == 200
    assert state(accepted) == "delivered"


@both
def test_what_is_about_another_account_is_refused(accepted, path, form):
    before = accepted.dump()
    refused(accepted, accepted.post(path, form | {"AccountSid": "AC" + "9" * 32}))
    refused(accepted, accepted.post(path, {name: value for name, value in form.items() if name != "AccountSid"}))
    assert accepted.dump() == before


@both
def test_behind_a_proxy_only_the_public_address_counts_whatever_is_forwarded(accepted, path, form):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "other.example.com", "Forwarded": "proto=https"}
    refused(accepted, accepted.post(path, form, signed_for="https://other.example.com", headers=forwarded))
    assert accepted.post(path, form, headers=forwarded | {"Host": "other.example.com"}).status_code == 200


@both
def test_a_public_address_may_have_a_port_and_a_path(world, path, form):
    service = Service(world, public_url="https://example.com:8443/engage")
    assert service.post(path, form, signed_for="https://example.com:8443/engage").status_code == 200
    refused(Service(world), service.post(path, form))


@both
def test_without_a_public_address_every_request_is_refused_and_the_log_says_so(world, caplog, path, form):
    """A client chooses the Host header, so a signature for another address would count here."""
    service = Service(world, public_url=None)
    before = service.dump()
    refused(service, service.post(path, form, headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": PUBLIC[8:]}))
    for host in ("engage.example.com", "other.example.com", "[oops", "a:99999999", "a b", ""):
        refused(service, service.post(path, form, signed_for=f"http://{host}", headers={"Host": host}))
    refused(service, service.post(path, form, signed_for=HERE))
    assert service.dump() == before
    assert [record.message for record in caplog.records if "ENGAGE_PUBLIC_URL is not set" in record.message]


@both
@pytest.mark.parametrize("public_url", [None, PUBLIC])
@pytest.mark.parametrize("odd", [{"query_string": b"\xff=\xfe"}, {"headers": [(b"host", b"\xff[:99999999")]}])
def test_an_address_that_is_none_is_refused(world, path, form, public_url, odd):
    service = Service(world, public_url=public_url)
    whole = service.app
    service.app = lambda scope, receive, send: whole(scope | odd, receive, send)
    refused(service, service.post(path, form))


@both
@pytest.mark.parametrize("account", [None, replace(ACCOUNT, api_key="SK1")], ids=["none", "api key"])
def test_without_a_token_to_check_signatures_with_all_are_refused(world, caplog, path, form, account):
    service = Service(world, account=account)
    before = service.dump()
    for token in (TOKEN, "None", ""):
        refused(service, service.post(path, form, token=token))
    assert service.dump() == before
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == (account is not None)
    assert all("auth_token" in warning for warning in warnings)
    assert TOKEN not in caplog.text


@both
def test_with_an_api_key_the_accounts_own_token_counts(world, path, form):
    service = Service(world, account=Account(SID, "the secret", SENDER, api_key="SK1", auth_token=TOKEN))
    refused(service, service.post(path, form, token="the secret"))
    assert service.post(path, form).status_code == 200


@both
@pytest.mark.parametrize("body", [b"\xff\xfe%", b"{}", b"&&==%00", b"a=1&" * 1000])
def test_a_body_that_is_no_form_is_refused(service, path, form, body):
    headers = {"X-Twilio-Signature": "x", "Content-Type": "multipart/form-data"}
    refused(service, service.send(path, body, headers))


# --- receipts


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


def reset(service, **values):
    """Put the message back to where ``accepted`` leaves it, or elsewhere."""
    blank = dict.fromkeys(["settled_at", "sent_at", "error", "error_code", "fact"])
    values = {"status": "accepted", **blank, **values}
    service.world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    service.world.execute(sa.update(message).values(**values))
    service.world.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))


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


def test_a_receipt_for_a_message_that_still_waits_changes_nothing(service):
    before = service.dump()
    service.receipt("delivered")
    assert service.dump() == before


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


# --- texts from customers


@pytest.mark.parametrize(
    ("body", "more", "source"),
    [
        ("STOP", {}, "inbound text: stop"),
        ("please don't text me again", {}, "inbound text: revocation"),
        ("NOMAS", {"OptOutType": "STOP"}, "inbound text: stop"),
    ],
)
def test_a_stop_after_queueing_wins(service, body, more, source):
    service.text(body, **more)
    assert service.suppressed() == [(source.removeprefix("inbound text: "), source)]
    assert service.world.message().by_status == {"skipped": 1}
    assert service.world.ledger() == {1: "skipped/suppressed"}


@pytest.mark.parametrize("body", ["when do you stop serving breakfast?", "HELP", "", "START", "🍔"])
def test_other_texts_suppress_nobody(service, body):
    service.text(body)
    assert service.suppressed() == []
    assert service.world.message().by_status == {"accepted": 1}


def test_start_after_stop_lets_the_phone_be_texted_again(service):
    service.text("STOP")
    service.text("START")
    assert service.suppressed() == []
    assert service.world.message().by_status == {"accepted": 1}


def test_a_start_that_comes_again_after_a_second_stop_changes_nothing(service):
    service.text("STOP")
    start = service.text("START")
    stop = service.text("STOP")
    before = service.dump()
    service.world.now += timedelta(minutes=1)
    service.text("START", sid=start)
    service.text("STOP", sid=stop)
    service.text("START", sid=stop)
    assert service.dump() == before
    assert service.counted("inbound", "text_class") == {"stop": 2, "start": 1, "repeated": 3}


def test_of_two_stops_by_keyword_the_first_stays(service):
    service.text("STOP")
    first = service.world.dump("suppression")
    service.world.now += timedelta(minutes=1)
    service.text("STOP")
    assert service.world.dump("suppression") == first


def test_of_two_stops_in_other_words_the_last_counts(service):
    service.text("stop texting me")
    service.world.now += timedelta(minutes=1)
    service.text("stop texting me")
    assert service.world.rows("SELECT reason, suppressed_at FROM suppression") == [("revocation", service.world.now)]


@pytest.mark.parametrize("bodies", [("STOP", "stop texting me"), ("stop texting me", "STOP")])
def test_of_a_keyword_and_other_words_the_keyword_stays(service, bodies):
    for body in bodies:
        service.text(body)
    assert service.suppressed() == [("stop", "inbound text: stop")]
    service.text("START")
    assert service.suppressed() == []


def test_a_start_ends_a_stop_in_other_words(service):
    service.text("please stop texting me")
    service.text("START")
    assert service.suppressed() == []


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
def test_a_text_that_quotes_our_message_is_judged_by_what_else_it_says(service, body, reasons):
    service.world.execute(sa.update(message).values(status="sending", sending_at=service.world.now, body=OURS))
    service.text(body)
    assert [reason for reason, _ in service.suppressed()] == reasons


def test_a_start_ends_no_opt_out_that_was_made_in_the_app(service):
    service.world.execute(sa.text("UPDATE customer SET opted_out_at = '2026-11-01'"))
    before = service.world.dump("customer")
    service.text("START")
    assert service.world.dump("customer") == before
    service.world.message()
    assert service.world.ledger() == {1: "skipped/opted_out"}


@pytest.mark.parametrize("stopped_before", [False, True])
def test_a_start_does_not_bring_back_who_was_forgotten(service, stopped_before):
    if stopped_before:
        service.text("STOP")
    erasure.forget(service.world.engine, 1, as_of=service.world.now)
    service.text("START")
    assert service.suppressed() == [("erasure", "forgotten on request")]


def test_a_start_of_one_phone_is_not_anothers(service):
    service.text("STOP")
    service.text("START", sender=fictional_phone(1))
    assert service.suppressed() == [("stop", "inbound text: stop")]


def test_what_is_kept_of_a_text_is_neither_the_text_nor_the_number(service, caplog):
    caplog.set_level(logging.DEBUG)
    body = "Please take me off, this is Augusta King"
    sid = service.text(body, sender=fictional_phone(7))
    rows = service.world.rows("SELECT * FROM inbound_sms")
    assert rows == [(sid, phone_hash(fictional_phone(7), KEY), "revocation", service.world.now)]
    for trace in ("Augusta", fictional_phone(7), fictional_phone(7)[2:]):
        assert trace not in str(service.world.dump("inbound_sms", "suppression"))
        assert trace not in caplog.text


def test_a_stop_counts_for_the_phone_however_its_number_is_spelled(service):
    service.text("STOP", sender="+4407400123456")
    service.text("STOP", sender="+447400123456")
    service.text("STOP", sender="+999000000001")  # of no known country, and a stop all the same
    suppressed = {row[0] for row in service.world.rows("SELECT phone_hash FROM suppression")}
    assert suppressed == {phone_hash(phone, KEY) for phone in ("+447400123456", "+999000000001")}


@pytest.mark.parametrize(
    "sender", ["12345", "", "whatsapp:+12025550123", "2025550123", "+0202", "+1202555012345678", "BURGER", "+1\x002"]
)
def test_what_comes_from_no_phone_is_ignored(service, sender):
    before = service.dump()
    assert service.post(INBOUND, texted("STOP", sender=sender)).status_code == 200
    assert service.dump() == before
    assert service.counted("inbound", "text_class") == {"ignored": 1}


@pytest.mark.parametrize("sid", ["", "\x00", "SM1", "x" * 5000])
def test_a_text_without_a_message_id_is_ignored(service, sid):
    before = service.dump()
    assert service.post(INBOUND, texted("STOP", sid=sid)).status_code == 200
    assert service.dump() == before


def test_each_class_is_counted(service):
    for body in ("STOP", "stop it please", "START", "INFO", "hello", "hello"):
        service.text(body)
    assert service.counted("inbound", "text_class") == {
        "stop": 1, "revocation": 1, "start": 1, "help": 1, "other": 2,
    }  # fmt: skip


# --- the description in /docs


def test_every_answer_is_described_and_no_request_is_unprocessable(service):
    paths = service.app.openapi()["paths"]
    assert set(paths) == {STATUS, INBOUND}
    for described in (paths[STATUS]["post"], paths[INBOUND]["post"]):
        assert set(described["responses"]) == {"200", "400", "403", "408", "413", "415", "503"}
        assert set(described["responses"]["200"]["content"]) == {"text/xml"}
        assert described["summary"]
        assert described["description"]
        form = described["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        assert all(field["description"] for field in form["properties"].values())
    assert {p["name"] for p in paths[STATUS]["post"]["parameters"]} == {"X-Twilio-Signature", "message"}


def test_a_form_of_more_than_a_hundred_fields_is_refused_before_its_signature_is_worked_out(world, monkeypatch):
    service = Service(world)
    form = {"AccountSid": SID, "MessageSid": MESSAGE, "MessageStatus": "sent"}
    fits = form | {f"more{n}": "x" for n in range(100 - len(form))}
    assert service.post(f"{STATUS}?message=20250101-1", fits).status_code == 200
    monkeypatch.setattr(RequestValidator, "validate", lambda *args: pytest.fail("worked out"))
    answer = service.post_raw(STATUS, fits | {"one_more": "x"}, {"X-Twilio-Signature": "A" * 27 + "="})
    assert (answer.status_code, answer.json()["detail"]) == (403, "The form has more than 100 fields.")
