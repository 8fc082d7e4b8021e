"""Hands messages to Twilio, through its official SDK, and finds messages there.

A message's parameters: https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

from engage.sending.providers.protocol import FoundSms, Outcome, OutgoingSms, Reply
from engage.sending.providers.twilio import error_codes, http_deadline
from engage.sending.providers.twilio.account import Account
from engage.sending.providers.twilio.http_deadline import DeadlineAdapter, within
from engage.sending.providers.twilio.receipts import STATUSES
from engage.statuses import MessageStatus
from engage.texts import phone

if TYPE_CHECKING:
    from twilio.rest.api.v2010.account.message import MessageInstance

TIMEOUT = 10.0
"""Seconds for a whole exchange, from connecting to the answer's last byte. The SDK's own default has no limit."""
MAX_RETRY_AFTER = 86_400
"""Seconds of the longest pause that an answer can ask for."""
MAX_VALIDITY = timedelta(hours=10)
"""https://www.twilio.com/docs/api/errors/90007"""
PAGE = 100
MAX_LISTED = 1000
"""Messages to one number that are looked through, at most. A number with more is not a customer's."""

_silent = logging.Logger("twilio, whose log repeats phone numbers and texts", logging.CRITICAL + 1)


class TwilioProvider:
    """Hands messages to Twilio. One may serve several threads."""

    name = "twilio"
    claim_size = 100
    concurrent = True

    def __init__(self, account: Account, timeout: float = TIMEOUT) -> None:
        self._account = account
        self._timeout = timeout
        self._mine = threading.local()

    def send(self, sms: OutgoingSms) -> Reply:
        http, client = self._client()
        try:
            sent = client.messages.create(to=sms.phone, body=sms.body, **self._options(sms))
        except TwilioException as exc:
            return self._reply(exc, http.retry_after)
        except requests.RequestException as exc:
            if _never_left(exc):
                return Reply(Outcome.LATER, error="no connection")
            if _untrusted(exc):
                return Reply(Outcome.REFUSED, error="the provider's certificate is not valid")
            raise
        if not sent.sid:
            raise ValueError("an answer without the message's id")
        if phone.canonical(str(sent.to)) != phone.canonical(sms.phone):
            raise ValueError("an answer about another recipient")
        return Reply(Outcome.ACCEPTED, sent.sid)

    def find(self, phone: str, since: datetime) -> list[FoundSms]:
        return [
            _found(sms, sms.date_created)
            for sms in self._listed(phone, since)
            if sms.date_created and sms.date_created >= since and "inbound" not in str(sms.direction)
        ]

    def _listed(self, phone: str, since: datetime) -> Iterator[MessageInstance]:
        """The messages to a number, page by page, until they are too old.

        Twilio sorts them by when they were sent, the newest first. A message may have waited before that for as long
        as it was valid, so one from before ``since`` is not the end yet.
        """
        _, client = self._client()
        for looked_at, found in enumerate(client.messages.stream(to=phone, page_size=PAGE)):
            if found.date_created and found.date_created < since - MAX_VALIDITY:
                return
            if looked_at == MAX_LISTED:
                raise LookupError(f"more than {MAX_LISTED} messages to one number to look through")
            yield found

    def _client(self) -> tuple[_Http, Client]:
        """This thread's own client. Its connections stay open and are not shared."""
        if not hasattr(self._mine, "pair"):
            account = self._account
            http = _Http(self._timeout)
            client = Client(account.api_key or account.sid, account.token, account.sid, http_client=http)
            client.api.base_url = account.api
            self._mine.pair = http, client
        pair: tuple[_Http, Client] = self._mine.pair
        return pair

    def _options(self, sms: OutgoingSms) -> dict[str, Any]:
        account = self._account
        sender = "messaging_service_sid" if account.sender.startswith("MG") else "from_"
        options: dict[str, Any] = {sender: account.sender}
        if account.status_callback:
            parts = urlsplit(account.status_callback)  # its fragment says how often Twilio tries again
            query = "&".join(filter(None, (parts.query, urlencode({"message": sms.reference}))))
            options["status_callback"] = urlunsplit(parts._replace(query=query))
        if sms.valid_for is not None:
            options["validity_period"] = max(1, int(min(sms.valid_for, MAX_VALIDITY).total_seconds()))
        return options

    @staticmethod
    def _reply(exc: TwilioException, retry_after: float | None) -> Reply:
        """The meaning of an answer with an error: was the message taken, and may it be offered again?

        Raises:
            TwilioException: the answer leaves it open whether the message was taken.
        """
        status, code = getattr(exc, "status", None), getattr(exc, "code", None)
        if not isinstance(status, int) or status == 408 or not 400 <= status < 500:
            raise exc
        code = code if isinstance(code, int) and code != status else None
        error = error_codes.explain(code)
        outcome = error.outcome or (Outcome.REFUSED if status in (401, 403, 404) else Outcome.FAILED)
        if status == 429 or outcome is Outcome.LATER:
            words = error.words or "too many requests"
            return Reply(Outcome.LATER, error=words, error_code=code, retry_after=retry_after)
        if outcome is Outcome.REFUSED:
            return Reply(Outcome.REFUSED, error=error.words or f"HTTP status {status}", error_code=code)
        words = error.words or f"refused with HTTP status {status}"
        return Reply(Outcome.FAILED, error=words, error_code=code, fact=error.fact)


def _found(sms: MessageInstance, created_at: datetime) -> FoundSms:
    error = error_codes.explain(sms.error_code)
    return FoundSms(
        provider_message_id=str(sms.sid),
        status=STATUSES.get(str(sms.status), MessageStatus.ACCEPTED),
        created_at=created_at.astimezone(UTC),
        body=sms.body or "",
        error=error.words,
        error_code=sms.error_code,
        fact=error.fact,
    )


class _Http(TwilioHttpClient):
    """The SDK's own HTTP client, with a deadline. It also remembers the pause that the last answer asked for."""

    retry_after: float | None = None

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout=timeout, logger=_silent)
        self._seconds = timeout
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, DeadlineAdapter())

    def request(self, *args: Any, **kwargs: Any) -> Response:
        self.retry_after = None
        with within(self._seconds):
            response = super().request(*args, **kwargs)
        value = (response.headers or {}).get("Retry-After", "")
        self.retry_after = float(min(int(value), MAX_RETRY_AFTER)) if re.fullmatch(r"[0-9]{1,9}", value) else None
        return response


def _never_left(exc: BaseException) -> bool:
    """Whether no connection was made, to the provider or through the proxy. Then the message cannot have got there.

    urllib3 also raises a ProxyError if the answer to a whole request is cut off, so that alone proves nothing.
    """
    causes = list(_causes(exc))
    if any(isinstance(cause, (ConnectTimeoutError, NewConnectionError)) for cause in causes):
        return True
    return not http_deadline.begun() and any(isinstance(cause, ProxyError) for cause in causes)


def _untrusted(exc: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(exc))


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception and those that it wraps. requests and urllib3 keep them in ``args`` and ``reason``."""
    seen: set[int] = set()
    waiting: list[Any] = [exc]
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [*found.args, getattr(found, "reason", None), found.__cause__]
