"""Validates a batch of events one by one, and says for each wrong event which field is wrong and what is allowed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from engage.service.event_models import Event, Paid
from engage.service.problem_details import MAX_ERRORS, named

MAX_CLOCK_SKEW = timedelta(days=1)
"""How far in the future an event may be, because a phone's clock or zone may be wrong. It counts once it is past."""

MAX_FIELDS = 20
"""Fields of one event, about three times as many as any event has."""

_events = TypeAdapter(list[Event])
_event: TypeAdapter[Any] = TypeAdapter(Event)

_NOT_AN_EVENT = ("union_tag_invalid", "union_tag_not_found", "model_attributes_type")
_TYPES = "An event has a type: session, purchase, refund, viewed, liked, added_to_basket or redeemed."
_FIELDS = {"invalid_type": "type", "invalid_amount": "amount", "invalid_currency": "currency"}
_REASONS = {
    "customer_id": "missing_customer",
    "occurred_at": "invalid_time",
    "amount": "invalid_amount",
    "amount_minor": "invalid_amount",
    "currency": "invalid_currency",
    "item_id": "invalid_item",
    "code": "invalid_code",
    "event_id": "invalid_event_id",
    "purchase_id": "invalid_purchase_id",
}


def validate(rows: list[Any], currency: str, as_of: datetime) -> tuple[list[Any], list[dict[str, Any]]]:
    """The valid events, and one ``RowProblem`` as a dict for each of the others."""
    found: list[Any]
    widest = max((len(row) for row in rows if isinstance(row, dict)), default=0)
    if widest > MAX_FIELDS:  # each unknown field costs an error, which takes longer than the event
        return _sorted_out([_validate_one(row) for row in rows], currency, as_of)
    try:
        found = [*_events.validate_python(rows)]
    except ValidationError:
        found = [_validate_one(row) for row in rows]
    return _sorted_out(found, currency, as_of)


def _sorted_out(found: list[Any], currency: str, as_of: datetime) -> tuple[list[Any], list[dict[str, Any]]]:
    good, wrong, latest = [], [], as_of + MAX_CLOCK_SKEW
    for index, event in enumerate(found):
        error = event if isinstance(event, dict) else _misfit(event, currency, latest)
        if error:
            wrong.append({"index": index, **error})
        else:
            good.append(event)
    return good, wrong


def problems(exc: ValidationError, below: int = 0) -> list[dict[str, Any]]:
    """What is wrong, without the values that were sent. ``below`` is how many names lead to a field's own name."""
    found = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]:
        kind, detail = error["type"], error["msg"]
        if kind in _NOT_AN_EVENT:
            kind, detail = "invalid_type", _TYPES
        field = named(error["loc"][below:]) or _FIELDS.get(kind)
        found.append({"field": field, "reason": _REASONS.get(field or "", kind), "detail": detail})
    return found


def _validate_one(row: object) -> Any:
    """The event, or the first thing that is wrong with it."""
    if isinstance(row, dict) and len(row) > MAX_FIELDS:
        return {"field": None, "reason": "too_many_fields", "detail": f"An event has at most {MAX_FIELDS} fields."}
    try:
        return _event.validate_python(row)
    except ValidationError as exc:
        return problems(exc, below=1)[0]


def _misfit(event: Any, currency: str, latest: datetime) -> dict[str, Any] | None:
    """What is wrong with a well-formed event."""
    if event.occurred_at > latest:
        detail = "It is more than a day in the future. Is the phone's clock right?"
        return {"field": "occurred_at", "reason": "future_dated", "detail": detail}
    if isinstance(event, Paid) and event.currency not in (None, currency):
        return {"field": "currency", "reason": "invalid_currency", "detail": f"Amounts are in {currency} here."}
    return None
