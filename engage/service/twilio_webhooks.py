"""Twilio's webhooks: delivery receipts, and the texts that customers send. Both count only if Twilio signed them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from engage.customers import replies
from engage.customers.replies import InboundSms
from engage.sending import delivery_receipts
from engage.sending.delivery_health import NOT_ARRIVED, ReceiptJudge
from engage.sending.providers.twilio.receipts import MESSAGE_SID, STATUSES, receipt_of
from engage.service.context import Context
from engage.service.problem_details import documented
from engage.service.twilio_signature import Form, signed_form, signed_route
from engage.texts import opt_out_words, phone


class _TwiML(Response):
    """An answer in Twilio's markup language, TwiML."""

    media_type = "text/xml"


_DO_NOTHING = "<Response/>"


def routes(context: Context) -> APIRouter:
    """The addresses that Twilio calls."""
    router = APIRouter(prefix="/v1/providers/twilio", route_class=signed_route(context), tags=["twilio"])
    signed = Depends(signed_form(context))
    judge = ReceiptJudge(context.engine)

    @router.post(
        "/status", summary="Report the delivery of a message", response_class=_TwiML, responses=_RESPONSES,
        openapi_extra=_described(_STATUS_FIELDS, _STATUS_QUERY),
    )  # fmt: skip
    def status(request: Request, form: Form = signed) -> Response:
        """Twilio calls this for each new status of a message. Receipts may repeat, come late, or in any order.

        A receipt for an unknown message, another recipient, or with an unknown status is counted and changes nothing.
        """
        outcome = _apply(context, judge, form, request.query_params.get("message", ""))
        context.metrics.receipts.labels(outcome).inc()
        return _TwiML(_DO_NOTHING)

    @router.post(
        "/inbound", summary="Receive a customer's text", response_class=_TwiML, responses=_RESPONSES,
        openapi_extra=_described(_INBOUND_FIELDS),
    )  # fmt: skip
    def inbound_text(form: Form = signed) -> Response:
        """STOP, or an opt-out in other words, ends all texts to the phone. START ends that opt-out.

        A repeated message changes nothing. Engage keeps no text and sends no reply: Twilio itself answers STOP, START
        and HELP.
        """
        context.metrics.inbound.labels(_receive(context, form)).inc()
        return _TwiML(_DO_NOTHING)

    return router


def _apply(context: Context, judge: ReceiptJudge, form: Form, reference: str) -> str:
    """Apply a receipt, and judge the campaign if it reports a failure. Returns its outcome, for the metric."""
    if form.get("MessageStatus") not in STATUSES:
        return "unknown_status"
    receipt = receipt_of(form, reference)
    if receipt is None:
        return "unknown_message"
    window = delivery_receipts.apply(context.engine, receipt, hash_key=context.hash_key, as_of=context.clock())
    if window is None:
        return "unknown_message"
    if receipt.status in NOT_ARRIVED:
        judge.judge(window, context.clock())
    return "applied"


def _receive(context: Context, form: Form) -> str:
    """Do what a text asks for. Returns its class, for the metric. Senders without a phone number are ignored."""
    sid, sender = form.get("MessageSid", ""), phone.canonical(form.get("From", ""))
    if not MESSAGE_SID.fullmatch(sid) or sender is None:
        return "ignored"
    phone_hash = phone.phone_hash(sender, context.hash_key)
    sent = replies.quotable(context.engine, phone_hash)
    text_class = opt_out_words.classify(form.get("Body", ""), form.get("OptOutType", ""), sent)
    sms = InboundSms(sid, phone_hash, text_class)
    return text_class if replies.receive(context.engine, sms, as_of=context.clock()) else "repeated"


# --- the description in /docs

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "It was received.", "content": {"text/xml": {"example": _DO_NOTHING}}},
    **documented(
        400,
        403,
        408,
        413,
        415,
        503,
        _400="The body is cut off.",
        _403="Twilio has not signed it, or this installation has no such account.",
        _415="The encoding of the body is not taken here. Send none.",
    ),
}
_ANY_FIELDS = {
    "AccountSid": "The account at Twilio; it must be this installation's.",
    "MessageSid": "The message's id at Twilio.",
}
_STATUS_FIELDS = _ANY_FIELDS | {
    "MessageStatus": f"One of {', '.join(STATUSES)}.",
    "To": "The recipient's phone number in E.164. A receipt for another recipient than the message's changes nothing.",
    "ErrorCode": "Why the message did not arrive: https://www.twilio.com/docs/api/errors.",
}
_STATUS_QUERY = {
    "message": "The message's reference, such as 20260914-4711. Engage gives it to Twilio with the message."
}
_INBOUND_FIELDS = _ANY_FIELDS | {
    "From": "The sender's phone number in E.164. Short codes and other channels are ignored.",
    "Body": "The text.",
    "OptOutType": "STOP, START or HELP, if Twilio recognised one.",
}


_EXAMPLES = {
    "AccountSid": "AC0123456789abcdef0123456789abcdef",
    "MessageSid": "SM0123456789abcdef0123456789abcdef",
    "MessageStatus": "delivered",
    "To": "+12025550123",
    "From": "+12025550123",
    "Body": "STOP",
    "OptOutType": "STOP",
    "X-Twilio-Signature": "0/KCTR6DLpKmkAf8muzZqo1nDgQ=",
    "message": "20260914-4711",
}


def _described(fields: dict[str, str], query: dict[str, str] | None = None) -> dict[str, Any]:
    """The form, the query and the header, written by hand: a missing or odd field is not an error."""
    signature = {"X-Twilio-Signature": "HMAC-SHA1 of this address and the form, by the account's auth token."}
    properties = {name: _text(name) | {"description": about} for name, about in fields.items()}
    named = [
        {"name": name, "in": place, "required": place == "header", "description": about, "schema": _text(name)}
        for place, about_each in (("header", signature), ("query", query or {}))
        for name, about in about_each.items()
    ]
    schema = {"type": "object", "properties": properties, "required": list(_ANY_FIELDS)}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"parameters": named, "requestBody": {"required": True, "content": content}}


def _text(name: str) -> dict[str, Any]:
    return {"type": "string"} | ({"examples": [_EXAMPLES[name]]} if name in _EXAMPLES else {})
