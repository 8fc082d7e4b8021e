"""What Twilio tells us: what became of messages, and what customers text back.

Anybody can send to these addresses. Only what is signed with the account's token is believed, and only if it was
signed for this address: https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import URL, ImmutableMultiDict
from twilio.request_validator import RequestValidator

from engage.customers import replies
from engage.customers.replies import InboundSms
from engage.sending import delivery_receipts
from engage.sending.delivery_receipts import Receipt
from engage.sending.providers.twilio_codes import STATUSES
from engage.service.context import Context
from engage.service.problem_details import documented, problem
from engage.service.request_body import StrictRoute
from engage.texts import opt_out_words, phone

log = logging.getLogger(__name__)

_MESSAGE_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_ERROR_CODE = re.compile(r"[0-9]{1,9}")

Form = ImmutableMultiDict[str, str]


class _TwiML(Response):
    """An answer in Twilio's language."""

    media_type = "text/xml"


_DO_NOTHING = "<Response/>"
_MAX_FIELDS = 100


def routes(context: Context) -> APIRouter:
    """The addresses that Twilio calls."""
    router = APIRouter(prefix="/v1/providers/twilio", route_class=StrictRoute, tags=["twilio"])
    signed = Depends(_signed(context))

    @router.post(
        "/status", summary="What became of a message", response_class=_TwiML, responses=_RESPONSES,
        openapi_extra=_described(_STATUS_FIELDS, _STATUS_QUERY),
    )  # fmt: skip
    def status(request: Request, form: Form = signed) -> Response:
        """Twilio calls this as a message goes its way. Again, late or in another order: does no harm.

        A message that Engage does not know, or a status that it does not, is counted and accepted.
        """
        outcome = _apply(context, form, request.query_params.get("message", ""))
        context.metrics.receipts.labels(outcome).inc()
        return _TwiML(_DO_NOTHING)

    @router.post(
        "/inbound", summary="What a customer texts back", response_class=_TwiML, responses=_RESPONSES,
        openapi_extra=_described(_INBOUND_FIELDS),
    )  # fmt: skip
    def inbound_text(form: Form = signed) -> Response:
        """STOP, or the same in plain words, ends all texts to the phone. START begins them again.

        The same message again changes nothing. The text itself is not kept, and nothing is texted back: Twilio answers
        STOP, START and HELP by itself.
        """
        context.metrics.inbound.labels(_receive(context, form)).inc()
        return _TwiML(_DO_NOTHING)

    return router


def _apply(context: Context, form: Form, reference: str) -> str:
    """Pass a receipt on; returns what came of it, to count by."""
    known = STATUSES.get(form.get("MessageStatus", ""))
    if known is None:
        return "unknown_status"
    sid, code = form.get("MessageSid", ""), form.get("ErrorCode", "")
    if not _MESSAGE_SID.fullmatch(sid):
        return "unknown_message"
    receipt = Receipt(reference, sid, known, int(code) if _ERROR_CODE.fullmatch(code) else None)
    return "applied" if delivery_receipts.apply(context.engine, receipt, as_of=context.clock()) else "unknown_message"


def _receive(context: Context, form: Form) -> str:
    """Do what a text asks for; returns its class, to count by. What comes from no phone is ignored."""
    sid, sender = form.get("MessageSid", ""), form.get("From", "")
    if not _MESSAGE_SID.fullmatch(sid) or not _E164.fullmatch(sender):
        return "ignored"
    text_class = opt_out_words.classify(form.get("Body", ""), form.get("OptOutType", ""))
    sms = InboundSms(sid, phone.phone_hash(sender, context.hash_key), text_class)
    return text_class if replies.receive(context.engine, sms, as_of=context.clock()) else "repeated"


# --- whom to believe


def _signed(context: Context) -> Callable[[Request], Coroutine[Any, Any, Form]]:
    """The form of a request, for those that are Twilio's about this account; all others end with 403."""
    account = context.account
    token = account and account.signing_token
    if account and not token:
        log.warning(
            "Twilio's receipts and customers' STOP are refused: the SMS account has an API key, whose secret signs "
            "nothing. Give it the option auth_token too, the account's own."
        )

    async def form(request: Request) -> Form:
        body = (await request.body()).decode(errors="replace")
        try:  # the signature's check takes time with the square of the fields
            pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError:
            raise problem(403, f"The form has more than {_MAX_FIELDS} fields.") from None
        found = ImmutableMultiDict(pairs)
        if not token or not _genuine(token, context.public_url, request, found):
            raise problem(403, "The signature is not one of this installation's Twilio account for this address.")
        if not account or found.get("AccountSid") != account.sid:
            raise problem(403, "This is about another account at Twilio than this installation's.")
        return found

    return form


def _genuine(token: str, public_url: str | None, request: Request, form: Form) -> bool:
    signature = request.headers.get("X-Twilio-Signature", "")
    try:
        return bool(RequestValidator(token).validate(_address(public_url, request.url), form, signature))
    except ValueError:  # what the client calls its address is none
        return False


def _address(public_url: str | None, url: URL) -> str:
    """The address that Twilio called. What a proxy says of it is not asked: a client can say the same."""
    if public_url is None:
        return str(url)
    return f"{public_url}{url.path}{'?' if url.query else ''}{url.query}"


# --- what /docs says

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Noted", "content": {"text/xml": {"example": _DO_NOTHING}}},
    **documented(400, 403, 408, 413, 415, 503),
}
_ANY_FIELDS = {
    "AccountSid": "The account at Twilio; it has to be this installation's.",
    "MessageSid": "The message's id at Twilio.",
}
_STATUS_FIELDS = _ANY_FIELDS | {
    "MessageStatus": f"One of {', '.join(STATUSES)}.",
    "ErrorCode": "Why it did not arrive, https://www.twilio.com/docs/api/errors.",
}
_STATUS_QUERY = {"message": "Which message of the ledger, such as 20260914-4711; Engage gives it to Twilio with each."}
_INBOUND_FIELDS = _ANY_FIELDS | {
    "From": "Who texts, in E.164. Short codes and other channels are ignored.",
    "Body": "What they text.",
    "OptOutType": "STOP, START or HELP, if Twilio has recognised one.",
}


def _described(fields: dict[str, str], query: dict[str, str] | None = None) -> dict[str, Any]:
    """The form, the query and the header, by hand: a field that is missing or odd is no error."""
    text = {"type": "string"}
    signature = "HMAC-SHA1 of this address and the form, by the account's auth token."
    properties = {name: text | {"description": description} for name, description in fields.items()}
    header = {"name": "X-Twilio-Signature", "in": "header", "required": True, "description": signature, "schema": text}
    named = [{"name": name, "in": "query", "description": told, "schema": text} for name, told in (query or {}).items()]
    schema = {"type": "object", "properties": properties, "required": list(_ANY_FIELDS)}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"parameters": [header, *named], "requestBody": {"required": True, "content": content}}
