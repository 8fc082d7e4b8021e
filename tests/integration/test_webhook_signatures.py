"""Twilio's webhooks: only a request that Twilio has signed for this address and account counts."""

import logging
from dataclasses import replace

import pytest
from twilio.request_validator import RequestValidator

from engage.sending.providers import Account
from engage.service import problem_details
from tests.integration.webhooks import ACCOUNT, HERE, INBOUND, MESSAGE, PHONE, PUBLIC, STATUS, Webhooks, state, texted
from tests.twilio_double import SENDER, SID, TOKEN

RECEIPT = {"AccountSid": SID, "MessageSid": MESSAGE, "MessageStatus": "delivered", "To": PHONE}
REQUESTS = [(f"{STATUS}?message=20260914-1", RECEIPT), (INBOUND, texted("STOP"))]
both = pytest.mark.parametrize(("path", "form"), REQUESTS, ids=["status", "inbound"])


def refused(webhooks, answer):
    assert answer.status_code == 403
    assert answer.headers["content-type"] == problem_details.MEDIA_TYPE
    assert webhooks.counted("receipts", "outcome") == webhooks.counted("inbound", "text_class") == {}


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
    webhooks = Webhooks(world, public_url="https://example.com:8443/engage")
    assert webhooks.post(path, form, signed_for="https://example.com:8443/engage").status_code == 200
    refused(Webhooks(world), webhooks.post(path, form))


@both
def test_without_a_public_address_every_request_is_refused_and_the_log_says_so(world, caplog, path, form):
    """A client chooses the Host header, so a signature for another address would count here."""
    webhooks = Webhooks(world, public_url=None)
    before = webhooks.dump()
    refused(webhooks, webhooks.post(path, form, headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": PUBLIC[8:]}))
    for host in ("engage.example.com", "other.example.com", "[oops", "a:99999999", "a b", ""):
        refused(webhooks, webhooks.post(path, form, signed_for=f"http://{host}", headers={"Host": host}))
    refused(webhooks, webhooks.post(path, form, signed_for=HERE))
    assert webhooks.dump() == before
    assert [record.message for record in caplog.records if "ENGAGE_PUBLIC_URL is not set" in record.message]


@both
@pytest.mark.parametrize("public_url", [None, PUBLIC])
@pytest.mark.parametrize("odd", [{"query_string": b"\xff=\xfe"}, {"headers": [(b"host", b"\xff[:99999999")]}])
def test_an_address_that_is_none_is_refused(world, path, form, public_url, odd):
    webhooks = Webhooks(world, public_url=public_url)
    whole = webhooks.app
    webhooks.app = lambda scope, receive, send: whole(scope | odd, receive, send)
    refused(webhooks, webhooks.post(path, form))


@both
@pytest.mark.parametrize("account", [None, replace(ACCOUNT, api_key="SK1")], ids=["none", "api key"])
def test_without_a_token_to_check_signatures_with_all_are_refused(world, caplog, path, form, account):
    webhooks = Webhooks(world, account=account)
    before = webhooks.dump()
    for token in (TOKEN, "None", ""):
        refused(webhooks, webhooks.post(path, form, token=token))
    assert webhooks.dump() == before
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == (account is not None)
    assert all("auth_token" in warning for warning in warnings)
    assert TOKEN not in caplog.text


@both
def test_with_an_api_key_the_accounts_own_token_counts(world, path, form):
    webhooks = Webhooks(world, account=Account(SID, "the secret", SENDER, api_key="SK1", auth_token=TOKEN))
    refused(webhooks, webhooks.post(path, form, token="the secret"))
    assert webhooks.post(path, form).status_code == 200


@both
@pytest.mark.parametrize("body", [b"\xff\xfe%", b"{}", b"&&==%00", b"a=1&" * 1000])
def test_a_body_that_is_no_form_is_refused(webhooks, path, form, body):
    headers = {"X-Twilio-Signature": "x", "Content-Type": "multipart/form-data"}
    refused(webhooks, webhooks.send(path, body, headers))


def test_a_form_of_more_than_a_hundred_fields_is_refused_before_its_signature_is_worked_out(world, monkeypatch):
    webhooks = Webhooks(world)
    form = {"AccountSid": SID, "MessageSid": MESSAGE, "MessageStatus": "sent"}
    fits = form | {f"more{n}": "x" for n in range(100 - len(form))}
    assert webhooks.post(f"{STATUS}?message=20250101-1", fits).status_code == 200
    monkeypatch.setattr(RequestValidator, "validate", lambda *args: pytest.fail("worked out"))
    answer = webhooks.post_raw(STATUS, fits | {"one_more": "x"}, {"X-Twilio-Signature": "A" * 27 + "="})
    assert (answer.status_code, answer.json()["detail"]) == (403, "The form has more than 100 fields.")


def test_every_answer_is_described_and_no_request_is_unprocessable(webhooks):
    paths = webhooks.app.openapi()["paths"]
    assert set(paths) == {STATUS, INBOUND}
    for described in (paths[STATUS]["post"], paths[INBOUND]["post"]):
        assert set(described["responses"]) == {"200", "400", "403", "408", "413", "415", "503"}
        assert set(described["responses"]["200"]["content"]) == {"text/xml"}
        assert described["summary"]
        assert described["description"]
        form = described["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        assert all(field["description"] for field in form["properties"].values())
    assert {p["name"] for p in paths[STATUS]["post"]["parameters"]} == {"X-Twilio-Signature", "message"}
