"""Checks that a request comes from Twilio, is meant for this address, and is about this installation's account.

Every client on the internet can reach the webhooks. Twilio signs the address and the form with the account's auth
token: https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import URL, ImmutableMultiDict
from twilio.request_validator import RequestValidator

from engage.service.context import Context
from engage.service.problem_details import problem

log = logging.getLogger(__name__)

MAX_FIELDS = 100
"""Checking a signature takes time with the square of the fields."""

Form = ImmutableMultiDict[str, str]


def signed_form(context: Context) -> Callable[[Request], Coroutine[Any, Any, Form]]:
    """A dependency that gives a route the form of a genuine request, and answers every other one with 403."""
    account = context.account
    token = account and account.signing_token
    if account and not token:
        log.warning(
            "Twilio's receipts and customers' STOP are refused: the SMS account has an API key, and Twilio does not "
            "sign with its secret. Add the option auth_token with the account's own token."
        )

    async def form(request: Request) -> Form:
        body = (await request.body()).decode(errors="replace")
        try:
            pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            raise problem(403, f"The form has more than {MAX_FIELDS} fields.") from None
        found = ImmutableMultiDict(pairs)
        if not token or not _genuine(token, context.public_url, request, found):
            raise problem(403, "The signature is not from this installation's Twilio account for this address.")
        if not account or found.get("AccountSid") != account.sid:
            raise problem(403, "The form's AccountSid is not this installation's Twilio account.")
        return found

    return form


def _genuine(token: str, public_url: str | None, request: Request, form: Form) -> bool:
    signature = request.headers.get("X-Twilio-Signature", "")
    try:
        return bool(RequestValidator(token).validate(_address(public_url, request.url), form, signature))
    except ValueError:  # the request's own address is malformed
        return False


def _address(public_url: str | None, url: URL) -> str:
    """The address that Twilio called. A proxy's headers do not count, because a client can send the same headers."""
    if public_url is None:
        return str(url)
    return f"{public_url}{url.path}{'?' if url.query else ''}{url.query}"
