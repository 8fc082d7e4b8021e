"""One question to a model, over OpenAI's chat completions, and every way in which the answer may go wrong.

A server that is busy is asked again twice, and one that refuses a JSON schema once without it. All of it has one
deadline, which also ends an answer that drips in. No redirect is followed. No error repeats the key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from engage.drafts.endpoint import ModelEndpoint
from engage.errors import ModelFailed

MOST_BYTES = 1_000_000
"""Bytes of an answer."""
RETRIES = 2
"""How often a server that is busy or broken is asked again."""
PAUSES = (1.0, 3.0)
"""Seconds before each, unless the server names its own."""
SCHEMA_FIELD = "response_format"
"""What of the request some servers do not know."""
_BUSY = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_SHOWN = 200
"""Characters of the server's own words that an error repeats."""


@dataclass(frozen=True)
class Completion:
    """What the model wrote. ``cut``: it reached the server's limit before its end."""

    content: str
    cut: bool


@dataclass(frozen=True)
class _Reply:
    status: int
    body: bytes
    retry_after: float | None
    is_encoded: bool


def complete(endpoint: ModelEndpoint, body: Mapping[str, Any]) -> Completion:
    """Ask the model, and wait for its answer.

    Raises:
        ModelFailed: it gave none, in a sentence that says why and what to do.
    """
    return asyncio.run(_in_time(endpoint, body))


async def _in_time(endpoint: ModelEndpoint, body: Mapping[str, Any]) -> Completion:
    too_late = ModelFailed(
        f"The model at {endpoint.host} did not answer within {endpoint.seconds:g} seconds. Try again, or give "
        f"{endpoint.source} a longer timeout."
    )
    try:
        async with asyncio.timeout(endpoint.seconds), _client(endpoint) as client:
            return _completion(endpoint, await _last_reply(client, endpoint, body))
    except (TimeoutError, httpx.TimeoutException):
        raise too_late from None
    except httpx.ConnectError as exc:
        raise ModelFailed(
            f"No server answers at {endpoint.host} ({_cleaned(str(exc), endpoint)}). Check the host, the port and the "
            f"scheme of {endpoint.source}, and whether this machine may reach it."
        ) from None
    except httpx.HTTPError as exc:
        why = type(exc).__name__
        raise ModelFailed(f"The model at {endpoint.host} broke off its answer ({why}). Try again.") from None


def _client(endpoint: ModelEndpoint) -> httpx.AsyncClient:
    """A client that goes through the environment's proxy over https only: plain http stays in the own network."""
    return httpx.AsyncClient(timeout=endpoint.seconds, trust_env=endpoint.url.startswith("https:"))


async def _last_reply(client: httpx.AsyncClient, endpoint: ModelEndpoint, body: Mapping[str, Any]) -> _Reply:
    """The server's answer, after other tries if it is busy or does not know JSON schemas."""
    loop = asyncio.get_running_loop()
    until = loop.time() + endpoint.seconds
    asked, pauses = dict(body), list(PAUSES[:RETRIES])
    while True:
        reply = await _post(client, endpoint, asked)
        if reply.status == HTTPStatus.BAD_REQUEST and SCHEMA_FIELD in asked:
            del asked[SCHEMA_FIELD]
            continue
        if reply.status not in _BUSY or not pauses:
            return reply
        pause = pauses.pop(0) if reply.retry_after is None else max(reply.retry_after, pauses.pop(0))
        if loop.time() + pause >= until:
            return replace(reply, retry_after=pause)
        await asyncio.sleep(pause)


async def _post(client: httpx.AsyncClient, endpoint: ModelEndpoint, body: Mapping[str, Any]) -> _Reply:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    async with client.stream("POST", endpoint.url, json=body, headers=headers, follow_redirects=False) as answer:
        found = bytearray()
        async for part in answer.aiter_raw():
            found += part
            if len(found) > MOST_BYTES:
                raise ModelFailed(
                    f"The model at {endpoint.host} answers with more than {MOST_BYTES // 1_000_000} MB, which are not "
                    "texts. Ask another model."
                )
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        return _Reply(answer.status_code, bytes(found), _retry_after(answer.headers), encoded)


def _retry_after(headers: httpx.Headers) -> float | None:
    """The seconds that the server asks to wait: a number, or a time, which is told by the server's own clock."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return float(value)
    at, now = _date(value), _date(headers.get("Date", ""))
    return max(0.0, (at - now).total_seconds()) if at and now else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _completion(endpoint: ModelEndpoint, reply: _Reply) -> Completion:
    """The text in the server's answer."""
    if reply.status != HTTPStatus.OK:
        raise ModelFailed(_refusal(endpoint, reply))
    answers = f"The model at {endpoint.host} answers"
    if reply.is_encoded:
        raise ModelFailed(f"{answers} in a packed form, which was not asked for. Check the proxy before it.")
    try:
        found = json.loads(reply.body.decode())
    except UnicodeDecodeError:
        raise ModelFailed(f"{answers} with bytes that are not UTF-8. Ask another model.") from None
    except (ValueError, RecursionError):
        raise ModelFailed(f"{answers} with something else than JSON. Check the path of {endpoint.source}.") from None
    if isinstance(found, dict) and found.get("error"):
        raise ModelFailed(f"{answers} with an error{_words(reply, endpoint)}.")
    choices = found.get("choices") if isinstance(found, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ModelFailed(f"{answers} without a choice of an answer. Try again, or ask another model.")
    content = _content(message.get("content"))
    if not content.strip():
        refused = message.get("refusal") or choice.get("finish_reason") == "content_filter"
        why = "refuses the request" if refused else "writes nothing"
        raise ModelFailed(f"The model at {endpoint.host} {why}. Word the offer in another way, or ask another model.")
    return Completion(content, cut=choice.get("finish_reason") == "length")


def _content(value: object) -> str:
    """A message's content: a text, or a list of parts with texts."""
    if isinstance(value, list):
        return "".join(str(part["text"]) for part in value if isinstance(part, dict) and "text" in part)
    return value if isinstance(value, str) else ""


def _refusal(endpoint: ModelEndpoint, reply: _Reply) -> str:
    """Why the server gave no answer, by its status."""
    status, at = reply.status, f"The model at {endpoint.host}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"{at} refuses the key of {endpoint.source} ({status}). Enter the right key there."
    if 300 <= status < 400:
        return f"{at} sends its callers to another address ({status}). Enter that address in {endpoint.source}."
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return f"{at} does not know the path or the model of {endpoint.source} ({status}{_words(reply, endpoint)})."
    if status in _BUSY:
        wait = f" in {reply.retry_after:.0f} seconds" if reply.retry_after and reply.retry_after > 1 else " later"
        return f"{at} is busy or broken ({status}{_words(reply, endpoint)}). Ask again{wait}."
    return f"{at} refuses the request ({status}{_words(reply, endpoint)}). Check {endpoint.source}."


def _words(reply: _Reply, endpoint: ModelEndpoint) -> str:
    """The server's own words, after a colon, if they have the usual form; nothing else of an answer is repeated."""
    try:
        error = json.loads(reply.body)["error"]
        words = error["message"] if isinstance(error, dict) else error
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    cleaned = _cleaned(words, endpoint) if isinstance(words, str) else ""
    return f": {cleaned}" if cleaned else ""


def _cleaned(words: str, endpoint: ModelEndpoint) -> str:
    """Words of another party in one printable line, without the key."""
    hidden = words.replace(endpoint.key, "…") if endpoint.key else words
    line = " ".join("".join(c if c.isprintable() else " " for c in hidden).split())
    return line[:_SHOWN].rstrip(" .")
