"""``POST /v1/events``: a batch of the app's events, each taken once however often the batch is sent."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from engage.service.context import Context
from engage.service.event_models import AppEvent, DocumentedBatch, Event, EventBatch, Purchase, Session
from engage.service.idempotent_intake import Batch, Taken
from engage.service.problem_details import MAX_ERRORS, NO_ANSWER, RETRY_AFTER, RowProblem, documented, named, problem
from engage.service.request_body import parse, route_for
from engage.storage.binary_copy import microseconds

CLOCKS_DIFFER_BY = timedelta(days=1)
"""How far in the future an event may be, as a phone's clock or zone may be wrong. It counts once it is past."""
_events = TypeAdapter(list[Event])
_event: TypeAdapter[Any] = TypeAdapter(Event)


class BatchAnswer(BaseModel):
    """What became of a batch; it is stored for good."""

    accepted: int = Field(description="Events stored.", examples=[2])
    rejected: list[RowProblem] = Field(description="Events not stored, and why. Mend and send them in a new batch.")


def routes(context: Context) -> APIRouter:
    """The routes of events."""
    router = APIRouter(route_class=route_for("events"), tags=["events"])

    @router.post(
        "/v1/events",
        summary="Send events",
        response_model=BatchAnswer,
        responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
        openapi_extra={"requestBody": _request_body()},
    )
    async def send_events(
        request: Request,
        idempotency_key: Annotated[
            str,
            Header(
                min_length=1,
                max_length=200,
                pattern=r"^[!-~]+$",
                description="Your name for this batch, such as a UUID. Sending a batch again with its key adds "
                "nothing and gets the first answer, for a week.",
                examples=["7f3c1a52-2f0e-4f0c-9d59-5b1a3f6f2c11"],
            ),
        ],
        atomic: Annotated[bool, Query(description="Take all events or, if one of them is wrong, none.")] = False,
    ) -> Response:
        """Up to 1,000 sessions, purchases and other events. An answer of 200 means that they are stored.

        Events that are wrong are listed in `rejected`, and the others are stored; if none is right, or with
        `atomic=true` if any is wrong, nothing is stored and the answer is 422.
        """
        body = await request.body()
        batch = _read(context, body, atomic=atomic)
        batch.key_id, batch.idempotency_key = request.state.key.key_id, idempotency_key
        return _answered(context, batch, await _written(request, context, batch))

    return router


def _request_body() -> dict[str, Any]:
    schema = DocumentedBatch.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs")
    at = "2026-09-14T12:30:00Z"
    example = {
        "events": [
            {"type": "session", "customer_id": 4711, "occurred_at": at},
            {"type": "purchase", "customer_id": 4711, "occurred_at": at, "amount": "12.50", "currency": "USD"},
            {"type": "viewed", "customer_id": 4711, "occurred_at": at, "item_id": "burger-17"},
        ]
    }
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _read(context: Context, body: bytes, *, atomic: bool) -> Batch:
    """The batch of a body.

    Raises:
        HTTPException: 400 and 422 if there is nothing to store.
    """
    try:
        rows = EventBatch.model_validate(parse(body)).events
    except ValidationError as exc:
        context.metrics.batches.labels("refused").inc()
        raise problem(422, 'A batch is {"events": […]} with 1 to 1000 events.', errors=_problems(exc)) from None
    good, wrong = _checked(rows, context.currency, context.clock() + CLOCKS_DIFFER_BY)
    if wrong and (atomic or not good):
        _count_rejected(context, wrong)
        context.metrics.batches.labels("refused").inc()
        raise problem(422, f"{len(wrong)} of {len(rows)} events are wrong; nothing was stored.", errors=wrong)
    batch = Batch("", "", hashlib.sha256(b"%d" % atomic + body).digest(), {"accepted": len(good), "rejected": wrong})
    _fill(batch, good)
    return batch


def _count_rejected(context: Context, wrong: list[dict[str, Any]]) -> None:
    for reason, count in Counter(error["reason"] for error in wrong).items():
        context.metrics.rejected.labels(reason).inc(count)


def _checked(rows: list[Any], currency: str, latest: datetime) -> tuple[list[Any], list[dict[str, Any]]]:
    """The events that are right, and what is wrong with each of the others."""
    found: list[Any]
    try:
        found = [*_events.validate_python(rows)]
    except ValidationError:
        found = [_one(row) for row in rows]
    good, wrong = [], []
    for index, event in enumerate(found):
        error = event if isinstance(event, dict) else _misfit(event, currency, latest)
        if error:
            wrong.append({"index": index, **error})
        else:
            good.append(event)
    return good, wrong


def _one(row: object) -> Any:
    """The event, or what is wrong with it first of all."""
    try:
        return _event.validate_python(row)
    except ValidationError as exc:
        return _problems(exc, below=1)[0]


def _problems(exc: ValidationError, below: int = 0) -> list[dict[str, Any]]:
    """What is wrong, without repeating what was sent; ``below`` is how many names lead to a field's."""
    found = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]:
        kind, detail = error["type"], error["msg"]
        if kind in _NO_EVENT:
            kind, detail = "invalid_type", _TYPES
        field = named(error["loc"][below:]) or _FIELDS.get(kind)
        found.append({"field": field, "reason": _REASONS.get(field or "", kind), "detail": detail})
    return found


_NO_EVENT = ("union_tag_invalid", "union_tag_not_found", "model_attributes_type")
_TYPES = "An event has a type: session, purchase, viewed, liked or added_to_basket."
_FIELDS = {"invalid_type": "type", "invalid_amount": "amount", "invalid_currency": "currency"}
_REASONS = {
    "customer_id": "missing_customer",
    "occurred_at": "invalid_time",
    "amount": "invalid_amount",
    "amount_minor": "invalid_amount",
    "currency": "invalid_currency",
    "item_id": "invalid_item",
}


def _misfit(event: Any, currency: str, latest: datetime) -> dict[str, Any] | None:
    """What is wrong with an event that is well-formed."""
    if event.occurred_at > latest:
        detail = "It lies more than a day in the future. Is the clock of the phone right?"
        return {"field": "occurred_at", "reason": "future_dated", "detail": detail}
    if isinstance(event, Purchase) and event.currency not in (None, currency):
        return {"field": "currency", "reason": "invalid_currency", "detail": f"Amounts are in {currency} here."}
    return None


def _fill(batch: Batch, events: list[Any]) -> None:
    for event in events:
        if isinstance(event, Session):
            batch.sessions.append((event.customer_id, microseconds(event.occurred_at)))
        elif isinstance(event, Purchase):
            batch.purchases.append((event.customer_id, microseconds(event.occurred_at), event.cents))
        elif isinstance(event, AppEvent):
            batch.app_events.append((event.customer_id, event.occurred_at, event.type, event.item_id))


async def _written(request: Request, context: Context, batch: Batch) -> Taken:
    """What became of the batch, once that is committed.

    Raises:
        HTTPException: 503 if too many wait.
    """
    future = request.app.state.writer.submit(batch)
    if future is None:
        context.metrics.batches.labels("overloaded").inc()
        raise problem(503, "Too many batches wait to be stored. Send this one again.", {"Retry-After": RETRY_AFTER})
    try:
        taken: Taken = await future
    except (asyncio.CancelledError, *NO_ANSWER):
        context.metrics.batches.labels("unavailable").inc()
        raise
    return taken


def _answered(context: Context, batch: Batch, taken: Taken) -> Response:
    if taken.answer is None:
        context.metrics.batches.labels("refused").inc()
        raise problem(422, "This Idempotency-Key was used for another batch. Take a new key for a new batch.")
    if taken.again:
        context.metrics.batches.labels("repeated").inc()
        return JSONResponse(taken.answer, headers={"Idempotency-Replayed": "true"})
    context.metrics.batches.labels("stored").inc()
    _count_rejected(context, batch.answer["rejected"])
    for kind, rows in (("session", batch.sessions), ("purchase", batch.purchases), ("other", batch.app_events)):
        if rows:
            context.metrics.events.labels(kind).inc(len(rows))
    return JSONResponse(taken.answer)
