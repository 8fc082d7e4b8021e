"""The address of the model that drafts texts: any server that speaks OpenAI's chat completions.

A key goes over https, or stays on this machine or in its own network. No error repeats the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from engage.errors import InputError

PATH = "/v1/chat/completions"
"""Where such a server usually answers."""
SECONDS = 60.0
"""How long an answer may take, with all tries, unless the address says otherwise."""
MOST_SECONDS = 240.0
ENVIRONMENT = "ENGAGE_LLM_URL"
"""The environment variable with the address, for the command line."""
EXAMPLE = "https://:KEY@api.example.com?model=NAME"
_OPTIONS = ("model", "path", "timeout")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_HOST = 253
_LARGEST_PORT = 65_535
_PATH = re.compile(r"/[!-~]{0,500}")
_KEY = re.compile(r"[!-~]{1,4000}")
_LOCAL = {"localhost", "127.0.0.1", "[::1]"}
_OWN_NETWORK = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
"""A name without a dot. A number without one is an address of anywhere, and so is one with colons."""


@dataclass(frozen=True)
class ModelEndpoint:
    """Where a model answers. ``source``: what names it, for errors, such as *the connection engage_llm*."""

    url: str
    model: str
    source: str
    key: str | None = field(default=None, repr=False)
    seconds: float = SECONDS
    """How long an answer may take, with all tries."""

    @property
    def host(self) -> str:
        """The server with its port, as errors name it."""
        return urlsplit(self.url).netloc

    @classmethod
    def from_parts(
        cls,
        host: str | None,
        key: str | None,
        options: Mapping[str, Any],
        *,
        scheme: str | None = None,
        port: int | None = None,
        source: str,
    ) -> ModelEndpoint:
        """An address from a host, a password and further options, as an Airflow connection holds them.

        Raises:
            InputError: says what is missing or not allowed; it repeats no key.
        """
        if "://" in (host or ""):
            scheme, _, host = str(host).partition("://")
        host = (host or "").rstrip("/")
        if not _is_host(host):
            raise InputError(f"{_start(source)} takes a host, such as api.example.com; it has {host[:80]!r}.")
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise InputError(f"{_start(source)} has the option {unknown[0][:40]!r}; there are {', '.join(_OPTIONS)}.")
        scheme = (scheme or ("http" if host in _LOCAL else "https")).lower()
        if scheme not in {"http", "https"}:
            raise InputError(f"{_start(source)} has the scheme {scheme[:40]!r}; it takes http or https.")
        if key and scheme == "http" and not (host in _LOCAL or _OWN_NETWORK.fullmatch(host)):
            raise InputError(
                f"{_start(source)} would send its key over plain http. Give it https, or a host of its own network, "
                "whose name has no dot; or leave the key out if the server needs none."
            )
        if key and not _KEY.fullmatch(key):
            raise InputError(f"{_start(source)} has a key with blanks or characters that no key has. Enter it again.")
        if port and not 0 < port <= _LARGEST_PORT:
            raise InputError(f"{_start(source)} has the port {port}; it takes one from 1 to {_LARGEST_PORT}.")
        address = f"{scheme}://{host}" + (f":{port}" if port else "")
        path = _path(options.get("path") or PATH, source)
        return cls(address + path, _model(options.get("model"), source), source, key or None, _seconds(options, source))

    @classmethod
    def from_url(cls, url: str | None) -> ModelEndpoint:
        """An address from the text of ``ENGAGE_LLM_URL``.

        Raises:
            InputError: missing or not of that form; it repeats no key.
        """
        if not url:
            raise InputError(f"{ENVIRONMENT} is not set, so there is no model to ask. It looks like {EXAMPLE}")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise InputError(f"{ENVIRONMENT} is not of the form {EXAMPLE}") from None
        options = dict(parse_qsl(parts.query))
        if parts.path.strip("/"):
            options.setdefault("path", parts.path)
        host = f"[{host}]" if ":" in host else host
        key = unquote(parts.password or "")
        return cls.from_parts(host, key, options, scheme=parts.scheme, port=port, source=ENVIRONMENT)


def _start(source: str) -> str:
    """The source at the start of a sentence."""
    return source[:1].upper() + source[1:]


def _is_host(host: str) -> bool:
    """Whether it is a name, an IPv4 address, or an IPv6 address in brackets."""
    if not host.startswith("["):
        return len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None
    try:
        IPv6Address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return host.endswith("]") and "%" not in host


def _path(value: object, source: str) -> str:
    path = str(value)
    if not _PATH.fullmatch(path):
        raise InputError(f"{_start(source)} has the path {path[:80]!r}; it takes one such as {PATH}.")
    return f"{path.rstrip('/')}/chat/completions" if path.rstrip("/").endswith("/v1") else path


def _model(value: object, source: str) -> str:
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200:
        return value
    raise InputError(
        f"{_start(source)} names no model. Its option 'model' takes the name by which the server knows it, such as "
        "llama3.1."
    )


def _seconds(options: Mapping[str, Any], source: str) -> float:
    given = options.get("timeout", SECONDS)
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 1 <= seconds <= MOST_SECONDS:
        raise InputError(
            f"{_start(source)} has the timeout {str(given)[:40]!r}; it takes seconds from 1 to {MOST_SECONDS:g}."
        )
    return seconds
