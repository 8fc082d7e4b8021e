"""The SMS account, as an Airflow connection or ENGAGE_SMS_URL gives it."""

import pytest

from engage.errors import InputError
from engage.sending import providers
from engage.sending.providers import Account
from engage.sending.providers.sandbox import SandboxProvider
from engage.sending.providers.twilio.account import EXAMPLE
from engage.sending.providers.twilio.provider import TwilioProvider

NUMBER = {"from": "+12025550100"}


def test_a_connection_gives_an_account():
    callback = "https://example.org/status"
    assert Account.from_parts("AC1", "x", {**NUMBER, "status_callback": callback, "api_key": "SK1"}) == Account(
        "AC1", "x", "+12025550100", status_callback=callback, api_key="SK1"
    )
    assert Account.from_parts("AC1", "x", {"messaging_service": "MG1"}).sender == "MG1"


def test_a_url_gives_the_same():
    url = "twilio://AC1:se%2Fcr%3Aet@api.twilio.com?from=%2B12025550100&api=http%3A%2F%2F127.0.0.1%3A99"
    assert Account.from_url(url) == Account("AC1", "se/cr:et", "+12025550100", api="http://127.0.0.1:99")
    assert Account.from_url(EXAMPLE).sender == "+12025550100"


@pytest.mark.parametrize(
    ("options", "token"),
    [
        ({}, "password"),
        ({"auth_token": "own"}, "own"),
        ({"api_key": "SK1", "auth_token": "own"}, "own"),
        ({"api_key": "SK1"}, None),
        ({"api_key": "SK1", "auth_token": ""}, None),
    ],
)
def test_requests_are_signed_with_the_accounts_own_token_and_never_with_an_api_keys_secret(options, token):
    assert Account.from_parts("AC1", "password", NUMBER | options).signing_token == token


@pytest.mark.parametrize(
    ("sid", "token", "options", "complaint"),
    [
        (None, "hush", NUMBER, "account SID as login"),
        ("AC1", "", NUMBER, "its token as password"),
        ("AC1", "hush", {}, "it has neither"),
        ("AC1", "hush", NUMBER | {"messaging_service": "MG1"}, "it has both"),
        ("AC1", "hush", NUMBER | {"colour": "red"}, "has the option 'colour'; there are from, messaging_service"),
        (
            "AC1",
            "hush",
            NUMBER | {"api": "http://api.example.org"},
            "'api' is 'http://api.example.org'; it takes an address of",
        ),
        ("AC1", "hush", NUMBER | {"status_callback": "example.org"}, "'status_callback' takes an https address"),
        ("AC1", "hush", NUMBER | {"api": "http://127.0.0.1.example.org"}, "takes an address of Twilio's"),
        ("AC1", "hush", NUMBER | {"api": "https://[oops"}, "takes an address of Twilio's"),
    ],
)
def test_what_is_missing_or_wrong_is_said_without_the_secret(sid, token, options, complaint):
    with pytest.raises(InputError, match=complaint) as raised:
        Account.from_parts(sid, token, options)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        (None, "ENGAGE_SMS_URL is not set"),
        ("", "ENGAGE_SMS_URL is not set"),
        ("https://AC1:hush@api.twilio.com", "not of the form twilio://"),
        ("twilio://[AC1:hush", "not of the form twilio://"),
        ("twilio://AC1:hush@api.twilio.com", "it has neither"),
        ("twilio://api.twilio.com?from=1", "account SID as login"),
    ],
)
def test_a_url_that_cannot_be_is_refused_without_repeating_it(url, complaint):
    with pytest.raises(InputError, match=complaint) as raised:
        Account.from_url(url)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "api",
    [
        "https://evil.example.com",
        "https://twilio.com.example.com",
        "https://api.twilio.com@evil.example.com",
        "https://evil.example.com\\.twilio.com",
        "https://evil.example.com#.twilio.com",
        "https://evil.example.com/.twilio.com",
        "https://eviltwilio.com",
        "http://api.twilio.com",
        "https://api.twilio.com:8443",
        "https://api.twilio.com\n",
        "http://127.0.0.1:99",
        "http://localhost",
    ],
)
def test_a_connection_leads_the_token_to_no_other_address_and_the_environment_may(api):
    with pytest.raises(InputError, match="ENGAGE_SMS_API"):
        Account.from_parts("AC1", "hush", NUMBER | {"api": api})


def test_the_addresses_of_the_api():
    for api in ("https://api.twilio.com", "https://api.dublin.ie1.twilio.com", "https://api.twilio.com:443/"):
        assert Account.from_parts("AC1", "x", NUMBER | {"api": api}).api == api
    chosen = Account.from_parts("AC1", "x", NUMBER | {"api": "https://api.twilio.com"}, api="http://127.0.0.1:99")
    assert chosen.api == "http://127.0.0.1:99"
    with pytest.raises(InputError, match="'api' takes an https address"):
        Account.from_parts("AC1", "x", NUMBER, api="http://api.example.org")


def test_the_token_is_not_shown():
    assert "hush" not in repr(Account("AC1", "hush", "+12025550100", auth_token="hush too"))


def test_the_sandbox_needs_no_account_and_twilio_does(monkeypatch):
    monkeypatch.delenv("ENGAGE_SMS_URL", raising=False)
    assert isinstance(providers.provider("sandbox"), SandboxProvider)
    with pytest.raises(InputError, match="ENGAGE_SMS_URL is not set"):
        providers.provider("twilio")
    monkeypatch.setenv("ENGAGE_SMS_URL", EXAMPLE)
    assert isinstance(providers.provider("twilio"), TwilioProvider)
    assert isinstance(providers.provider("twilio", lambda: Account("AC1", "x", "MG1")), TwilioProvider)
