"""Twilio's own SDK against a server that speaks Twilio's API: what each answer means."""

import contextlib
import dataclasses
import logging
import socket
import struct
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests

from engage.sending.providers import Account, Outcome, OutgoingSms, Reply
from engage.sending.providers.twilio.provider import TwilioProvider
from engage.statuses import ProviderFact
from tests import twilio_double
from tests.twilio_double import Fault

SMS = OutgoingSms("+12025550123", "Hello 🍔 & welcome", "20260914-7", timedelta(hours=2))


@pytest.fixture
def provider(double):
    return TwilioProvider(double.account, timeout=1.0)


def test_a_message_is_posted_as_twilio_wants_it(double, provider):
    reply = provider.send(SMS)
    assert reply == Reply(Outcome.ACCEPTED, double.posts[0].sid)
    assert double.posts[0].form == {
        "To": "+12025550123", "From": "+12025550100", "Body": "Hello 🍔 & welcome", "ValidityPeriod": "7200",
    }  # fmt: skip


def test_a_messaging_service_and_a_callback_that_says_which_message_it_is_about(double):
    account = Account(
        twilio_double.SID,
        twilio_double.TOKEN,
        "MG" + "1" * 32,
        status_callback="https://example.org/status?x=1#rc=3",
        api=double.url,
    )
    TwilioProvider(account).send(OutgoingSms("+12025550123", "Hello", "20260914-7"))
    form = double.posts[0].form
    assert form["MessagingServiceSid"] == "MG" + "1" * 32
    assert form["StatusCallback"] == "https://example.org/status?x=1&message=20260914-7#rc=3"
    assert "From" not in form
    assert "ValidityPeriod" not in form


def test_a_message_is_never_valid_for_longer_than_twilio_allows(double, provider):
    provider.send(OutgoingSms("+12025550123", "Hello", valid_for=timedelta(hours=13)))
    provider.send(OutgoingSms("+12025550124", "Hello", valid_for=timedelta(milliseconds=3)))
    assert [post.form["ValidityPeriod"] for post in double.posts] == ["36000", "1"]


@pytest.mark.parametrize(
    ("fault", "outcome", "fact"),
    [
        (twilio_double.TOO_MANY, Outcome.LATER, None),
        (Fault(429, None), Outcome.LATER, None),
        (Fault(429, 21610), Outcome.LATER, None),
        (Fault(400, 21611), Outcome.LATER, None),
        (twilio_double.UNSUBSCRIBED, Outcome.FAILED, ProviderFact.OPTED_OUT),
        (twilio_double.UNREACHABLE, Outcome.FAILED, ProviderFact.NUMBER_INVALID),
        (twilio_double.FILTERED, Outcome.FAILED, ProviderFact.FILTERED),
        (Fault(400, 99999), Outcome.FAILED, None),
        (Fault(403, 99999), Outcome.REFUSED, None),
        (Fault(403, 21408), Outcome.FAILED, ProviderFact.REGION_NOT_PERMITTED),
        (Fault(400, None), Outcome.FAILED, None),
        (Fault(401, 20003), Outcome.REFUSED, None),
        (Fault(403, None), Outcome.REFUSED, None),
        (Fault(404, 20404), Outcome.REFUSED, None),
        (Fault(400, 21606), Outcome.REFUSED, None),
    ],
)
def test_what_an_error_means(double, provider, fault, outcome, fact):
    double.fault = lambda post: fault
    reply = provider.send(SMS)
    assert (reply.outcome, reply.error_code, reply.fact) == (outcome, fault.code, fact)
    assert reply.error
    assert "555" not in reply.error


def test_it_passes_on_how_long_to_leave_the_provider_alone(double, provider):
    double.fault = lambda post: Fault(429, 20429, retry_after="17") if post.number == 1 else Fault(429, 20429)
    assert provider.send(SMS).retry_after == 17.0
    assert provider.send(SMS).retry_after is None


@pytest.mark.parametrize(("asked", "pause"), [("9" * 9, 86400.0), ("9" * 5000, None), ("soon", None)])
def test_a_pause_beyond_reason_is_a_day_or_none(double, provider, asked, pause):
    double.fault = lambda post: Fault(429, 20429, retry_after=asked)
    assert provider.send(SMS).retry_after == pause


@pytest.mark.parametrize(
    "fault",
    [
        twilio_double.RESET,
        Fault(delay=5.0, accepts=True),
        twilio_double.BROKEN_AFTER_ACCEPTING,
        Fault(503, 20503, accepts=True),
        Fault(408, accepts=True),
        Fault(502, text="<html>bad gateway</html>", accepts=True),
        Fault(201, text="not json", accepts=True),
        Fault(201, text="{}", accepts=True),
        Fault(307, text="{}", accepts=True),
    ],
    ids=["reset", "timeout", "500", "503", "408", "html", "no json", "no id", "moved"],
)
def test_an_answer_that_leaves_it_open_is_an_exception(double, provider, fault):
    double.fault = lambda post: fault
    with pytest.raises(Exception):  # noqa: B017, PT011 - any exception means unknown, that is the protocol
        provider.send(SMS)


@pytest.mark.parametrize("fault", [Fault(drip=0.05), Fault(400, 21610, drip=0.05)], ids=["taken", "refused"])
def test_an_answer_that_drips_in_is_given_up_at_the_deadline(double, provider, fault):
    provider.send(SMS)  # the connection is open by now
    double.fault = lambda post: fault
    begun = time.monotonic()
    with pytest.raises(requests.RequestException):
        provider.send(SMS)
    assert 0.5 < time.monotonic() - begun < 2.0
    double.fault = lambda post: None
    assert provider.send(SMS).outcome is Outcome.ACCEPTED


def test_a_list_that_drips_in_is_given_up_at_the_deadline(double, provider):
    provider.send(SMS)
    double.drip = 0.01
    begun = time.monotonic()
    with pytest.raises(requests.RequestException):
        provider.find(SMS.phone, datetime.now(UTC) - timedelta(minutes=1))
    assert time.monotonic() - begun < 2.0


def test_an_answer_about_another_recipient_leaves_it_open(double, provider):
    double.fault = lambda post: Fault(to="+12025550124", accepts=True)
    with pytest.raises(ValueError, match="another recipient"):
        provider.send(SMS)


def test_a_provider_that_nobody_listens_for_may_be_tried_again():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        account = Account("AC1", "x", "+12025550100", api=f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert TwilioProvider(account, timeout=1.0).send(SMS) == Reply(Outcome.LATER, error="no connection")


class Names:
    """Names whose addresses a test chooses. Some of them drop all that comes to them."""

    SILENT = ("127.0.0.2", "127.0.0.3", "127.0.0.4")

    def __init__(self, monkeypatch, double):
        self.addresses, self.lookup_takes = [], 0.0
        self.real_lookup, real_connect = socket.getaddrinfo, socket.socket.connect
        self.account = dataclasses.replace(double.account, api=double.account.api.replace("127.0.0.1", "provider.test"))

        def connect(sock, address):
            if address[0] in self.SILENT:
                time.sleep(sock.gettimeout())
                raise TimeoutError
            return real_connect(sock, address)

        monkeypatch.setattr(socket, "getaddrinfo", self.lookup)
        monkeypatch.setattr(socket.socket, "connect", connect)

    def lookup(self, host, port, *args, **kwargs):
        if not host.endswith(".test"):
            return self.real_lookup(host, port, *args, **kwargs)
        time.sleep(self.lookup_takes)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch, double):
    return Names(monkeypatch, double)


def test_an_address_that_does_not_answer_leaves_time_for_the_next_one(double, names):
    names.addresses = [names.SILENT[0], "127.0.0.1"]
    assert TwilioProvider(names.account, timeout=1.0).send(SMS).outcome is Outcome.ACCEPTED
    assert len(double.posts) == 1


def test_many_addresses_that_do_not_answer_take_no_longer_than_the_deadline(names):
    names.addresses = names.SILENT
    begun = time.monotonic()
    assert TwilioProvider(names.account, timeout=1.0).send(SMS) == Reply(Outcome.LATER, error="no connection")
    assert time.monotonic() - begun < 1.0


def test_a_message_whose_time_is_up_before_there_is_a_connection_has_never_left(double, names):
    names.addresses, names.lookup_takes = ["127.0.0.1"], 0.6
    assert TwilioProvider(names.account, timeout=0.5).send(SMS) == Reply(Outcome.LATER, error="no connection")
    assert double.posts == []


def test_a_proxy_whose_answer_drips_in_is_given_up_at_the_deadline(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def drip():
            connection, _ = proxy.accept()
            with connection, contextlib.suppress(OSError):
                for byte in b"HTTP/1.1 200 " + b"x" * 30:
                    connection.send(bytes([byte]))
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        begun = time.monotonic()
        with pytest.raises(requests.RequestException):
            TwilioProvider(Account("AC1", "x", "+12025550100", api="https://provider.test"), timeout=0.5).send(SMS)
        assert time.monotonic() - begun < 2.0


def test_a_proxy_that_refuses_the_way_to_the_provider_leaves_the_message_for_later(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse():
            connection, _ = proxy.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        account = Account("AC1", "x", "+12025550100", api="https://provider.test")
        assert TwilioProvider(account, timeout=2.0).send(SMS) == Reply(Outcome.LATER, error="no connection")


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_breaks_after_the_request_leaves_it_open_what_became_of_the_message(monkeypatch, reset):
    """Also through a proxy, where urllib3 then says that it could not connect to the proxy."""
    got = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def take_and_break_off():
            connection, _ = proxy.accept()
            with connection:
                while b"Body=" not in b"".join(got):
                    got.append(connection.recv(4096))
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        threading.Thread(target=take_and_break_off, daemon=True).start()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        account = Account("AC1", "x", "+12025550100", api="http://provider.test")
        with pytest.raises(requests.RequestException):
            TwilioProvider(account, timeout=2.0).send(SMS)
    assert b"Body=" in b"".join(got)


def test_a_proxy_that_does_not_answer_may_be_tried_again(names, monkeypatch):
    names.addresses = names.SILENT
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    account, begun = dataclasses.replace(names.account, api="https://provider.test"), time.monotonic()
    assert TwilioProvider(account, timeout=1.0).send(SMS) == Reply(Outcome.LATER, error="no connection")
    assert time.monotonic() - begun < 1.0


def test_a_certificate_that_is_not_trusted_stops_everything_and_marks_nothing_unknown(provider, monkeypatch):
    import ssl

    def untrusted(*args, **kwargs):
        raise requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))

    monkeypatch.setattr(requests.Session, "send", untrusted)
    assert provider.send(SMS).outcome is Outcome.REFUSED


def test_it_finds_what_it_has_sent_to_a_number_since(double, provider):
    provider.send(SMS)
    provider.send(OutgoingSms("+12025550124", "To somebody else"))
    double.statuses[double.posts[0].sid] = "delivered"
    [found] = provider.find("+12025550123", datetime.now(UTC) - timedelta(minutes=1))
    assert (found.provider_message_id, found.status, found.body) == (double.posts[0].sid, "delivered", SMS.body)
    assert provider.find("+12025550123", datetime.now(UTC) + timedelta(minutes=1)) == []


def test_it_says_why_a_message_that_it_finds_did_not_arrive(double, provider):
    provider.send(SMS)
    double.statuses[double.posts[0].sid] = "undelivered"
    double.error_codes[double.posts[0].sid] = 30006
    [found] = provider.find("+12025550123", datetime.now(UTC) - timedelta(minutes=1))
    assert (found.status, found.error, found.error_code, found.fact) == (
        "undelivered", "a landline", 30006, ProviderFact.NOT_MOBILE,
    )  # fmt: skip


NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)


def texted(double, *, hours, body="Hello"):
    """A message that the provider has taken so many hours ago; the newest has to come last."""
    double.receive({"To": "+12025550123", "Body": body}).created_at = NOW - timedelta(hours=hours)


def test_it_finds_a_message_however_many_the_number_has_got_since(double, provider):
    for body, number in [("long before", 200), ("ours", 1), ("after it", 230)]:
        for _ in range(number):
            texted(double, hours={"long before": 40, "ours": 2, "after it": 1}[body], body=body)
    found = provider.find("+12025550123", NOW - timedelta(hours=3))
    assert [sms.body for sms in found] == ["after it"] * 230 + ["ours"]
    assert len(double.listed) == 3  # and no page beyond the one where they become too old


def test_a_message_that_waited_at_the_provider_does_not_hide_those_after_it(double, provider):
    """Twilio sorts by when a message was sent, which may be hours after it was created."""
    texted(double, hours=2, body="ours")
    texted(double, hours=9, body="waited")
    assert [sms.body for sms in provider.find("+12025550123", NOW - timedelta(hours=3))] == ["ours"]


def test_a_number_with_too_many_messages_to_look_at_is_said_to_be_one(double, provider):
    for _ in range(1001):
        texted(double, hours=1)
    with pytest.raises(LookupError, match="more than 1000 messages"):
        provider.find("+12025550123", NOW - timedelta(hours=3))


def test_several_threads_may_send_with_one_provider(double, provider):
    threads = [threading.Thread(target=provider.send, args=[SMS]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(double.taken) == 10


def test_nothing_of_a_message_or_the_token_is_logged_or_shown(double, provider, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    double.fault = lambda post: twilio_double.UNREACHABLE if post.number == 2 else None
    replies = [provider.send(SMS), provider.send(SMS)]
    shown = caplog.text + "".join(capfd.readouterr()) + repr([double.account, SMS, replies])
    for secret in ("5550123", "welcome", twilio_double.TOKEN):
        assert secret not in shown
