"""The account at Twilio: which number sends, and where receipts go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from engage.errors import InputError

TWILIO_API = "https://api.twilio.com"
_OPTIONS = ("from", "messaging_service", "status_callback", "api_key", "auth_token", "api")
_OF_TWILIO = re.compile(r"https://([a-z0-9-]+\.)+twilio\.com(:443)?/?")
EXAMPLE = "twilio://ACCOUNT_SID:AUTH_TOKEN@api.twilio.com?from=%2B12025550100"


@dataclass(frozen=True)
class Account:
    """An account at Twilio. ``sender`` is a number, a short code, or the id of a messaging service (MG…)."""

    sid: str
    token: str = field(repr=False)
    sender: str
    status_callback: str | None = None
    api_key: str | None = None
    """With one, ``token`` is the key's secret instead of the account's."""
    auth_token: str | None = field(default=None, repr=False)
    """The account's own token beside an API key."""
    api: str = TWILIO_API

    @property
    def signing_token(self) -> str | None:
        """The account's own token, with which Twilio signs its requests to us. An API key's secret signs none."""
        return self.auth_token or (None if self.api_key else self.token)

    @classmethod
    def from_parts(
        cls, sid: str | None, token: str | None, options: Mapping[str, Any], *, api: str | None = None
    ) -> Account:
        """An account from a login, a password and further options, as an Airflow connection holds them.

        The token and customers' numbers go to Twilio's API, so a user who edits connections may name only an address of
        Twilio's. ``api`` is another address that the installation's environment names; it wins.

        Raises:
            InputError: says what is missing or not allowed; it repeats no secret.
        """
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise InputError(f"The SMS account has the option {unknown[0]!r}; there are {', '.join(_OPTIONS)}.")
        if not sid or not token:
            raise InputError("The SMS account takes the account SID as login and its token as password.")
        senders = [str(options[name]) for name in ("from", "messaging_service") if options.get(name)]
        if len(senders) != 1:
            raise InputError(
                "The SMS account takes one of the options 'from', a number, and 'messaging_service', an id MG…; it "
                f"has {'both' if senders else 'neither'}."
            )
        if (named := options.get("api")) and not _OF_TWILIO.fullmatch(str(named)):
            raise InputError(
                f"The SMS account's option 'api' is {str(named)[:80]!r}; it takes an address of Twilio's, such as "
                "https://api.dublin.ie1.twilio.com. The environment variable ENGAGE_SMS_API may name another one."
            )
        given = {"status_callback": options.get("status_callback"), "api": api or named}
        urls = {name: _url(name, value) for name, value in given.items() if value}
        keys = {name: str(options[name]) for name in ("api_key", "auth_token") if options.get(name)}
        return cls(sid, token, senders[0], **keys, **urls)

    @classmethod
    def from_url(cls, url: str | None) -> Account:
        """An account from the text of ``ENGAGE_SMS_URL``.

        Raises:
            InputError: missing or not of that form; it repeats no secret.
        """
        if not url:
            raise InputError(f"ENGAGE_SMS_URL is not set, so there is no SMS account. It looks like {EXAMPLE}")
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme != "twilio":
            raise InputError(f"ENGAGE_SMS_URL is not of the form {EXAMPLE}")
        options = dict(parse_qsl(parts.query))
        api = options.pop("api", None)
        return cls.from_parts(unquote(parts.username or ""), unquote(parts.password or ""), options, api=api)


def _url(name: str, value: object) -> str:
    """A secret goes over it, so it is https, or stays on this machine."""
    try:
        parts = urlsplit(str(value))
        allowed = parts.hostname and (parts.scheme == "https" or _local(parts.scheme, parts.hostname))
    except ValueError:
        allowed = False
    if not allowed:
        raise InputError(f"The SMS account's option {name!r} takes an https address; only 127.0.0.1 may have http.")
    return str(value)


def _local(scheme: str, host: str) -> bool:
    return scheme == "http" and host in {"127.0.0.1", "localhost"}
