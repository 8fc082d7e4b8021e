"""Checks that a request comes from Twilio, is meant for this address, and is about this installation's account.

Every client on the internet can reach the webhooks. Twilio signs the address and the form with the account's auth
token: https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine, Iterator
from itertools import permutations
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL, ImmutableMultiDict
from twilio.request_validator import RequestValidator

from engage.service.context import Context
from engage.service.problem_details import problem
from engage.service.strict_route import StrictRoute

log = logging.getLogger(__name__)

MAX_FIELDS = 100
"""Checking a signature takes time with the square of the fields."""

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=")
"""Base64 of the 20 bytes of a SHA-1."""
_UNSIGNED = "The signature is not from this installation's Twilio account for this address."

MAX_REORDERED = 4
"""Parameters of a query that are tried in each order."""

Form = ImmutableMultiDict[str, str]


def signed_route(context: Context) -> type[StrictRoute]:
    """The class of Twilio's routes: without an account here or a signature there, the body stays unread."""
    token = context.account and context.account.signing_token

    class SignedRoute(StrictRoute):
        unpacks = False

        async def admit(self, request: Request) -> None:
            if not token or not _SIGNATURE.fullmatch(request.headers.get("X-Twilio-Signature", "")):
                raise problem(403, _UNSIGNED, {"Connection": "close"})

    return SignedRoute


def signed_form(context: Context) -> Callable[[Request], Coroutine[Any, Any, Form]]:
    """A dependency that gives a route the form of a genuine request, and answers every other one with 403."""
    account = context.account
    token = account and account.signing_token
    if account and not token:
        log.warning(
            "Twilio's receipts and customers' STOP are refused: the SMS account has an API key, and Twilio does not "
            "sign with its secret. Add the option auth_token with the account's own token."
        )

    if account and not context.public_url:
        log.warning(
            "Twilio's receipts and customers' STOP are refused: ENGAGE_PUBLIC_URL is not set, and Twilio signs the "
            "address that it calls. Set it to this service's public address, such as https://engage.example.com."
        )

    async def form(request: Request) -> Form:
        return await run_in_threadpool(checked, request, await request.body())

    def checked(request: Request, body: bytes) -> Form:
        try:
            pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            raise problem(403, f"The form has more than {MAX_FIELDS} fields.") from None
        found = ImmutableMultiDict(pairs)
        if not token or not context.public_url or not _genuine(token, context.public_url, request, found):
            raise problem(403, _UNSIGNED)
        if not account or found.get("AccountSid") != account.sid:
            raise problem(403, "The form's AccountSid is not this installation's Twilio account.")
        return found

    return form


def _genuine(token: str, public_url: str, request: Request, form: Form) -> bool:
    signature = request.headers.get("X-Twilio-Signature", "")
    try:
        validate, signed = RequestValidator(token).validate, _in_signing_order(form)
        return any(validate(address, signed, signature) for address in _addresses(public_url, request.url))
    except ValueError:  # the request's own address is malformed
        return False


def _in_signing_order(form: Form) -> dict[str, str]:
    """The form as one field without a name, sorted as Twilio signs it, so that it is sorted once for all addresses."""
    pairs = sorted(set(form.multi_items()))
    return {"": "".join(name + value for name, value in pairs)} if pairs else {}


def _addresses(public_url: str, url: URL) -> Iterator[str]:
    """The address with its query in each order. Twilio signs the order that it was given, and may send another."""
    address, _, query = _address(public_url, url).partition("?")
    parts = query.split("&")
    orders = permutations(parts) if len(parts) <= MAX_REORDERED else [parts]
    return (f"{address}{'?' if query else ''}{'&'.join(order)}" for order in orders)


def _address(public_url: str, url: URL) -> str:
    """The address that Twilio called. No header counts, because a client can send the same headers."""
    return f"{public_url}{url.path}{'?' if url.query else ''}{url.query}"
