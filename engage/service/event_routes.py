"""``POST /v1/events``: takes a batch of the app's events, once for each idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from engage.service import event_validation
from engage.service.context import Context
from engage.service.event_batch import Batch, Key, Redemption, Taken
from engage.service.event_models import AppEvent, DocumentedBatch, EventBatch, Purchase, Redeemed, Refund, Session
from engage.service.problem_details import RETRY_AFTER, RowProblem, documented, problem
from engage.service.request_body import MAX_BYTES, SMALL_BYTES, parse
from engage.service.strict_route import route_for
from engage.statuses import ApiScope
from engage.storage.binary_copy import microseconds
from engage.storage.database_errors import DATABASE_ERRORS, trouble
from engage.storage.event_ids import event_key
from engage.texts.offer_code import SAMPLE

_ROWS = {"session": "sessions", "purchase": "purchases", "refund": "refunds"}
"""The field of ``Batch`` with the events of a type; the others are in ``app_events``."""


class BatchAnswer(BaseModel):
    """The result of a batch. It is stored, so that a repeated batch gets the same answer."""

    accepted: int = Field(description="Events stored.", examples=[2])
    rejected: list[RowProblem] = Field(
        description="Events not stored, and why. Correct them and send them in a new batch."
    )
    duplicates: int | None = Field(
        None,
        description="Accepted events that were stored before, by their event_id, and are not stored again. Only in the "
        "answer to a batch with an event_id.",
        examples=[0],
    )


def routes(context: Context) -> APIRouter:
    """The routes of events."""
    router = APIRouter(route_class=route_for(ApiScope.EVENTS, max_bytes=MAX_BYTES), tags=["events"])

    @router.post(
        "/v1/events",
        summary="Send events",
        response_model=BatchAnswer,
        responses={
            200: {"description": "The accepted events are stored."},
            **documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
        },
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
                description="Your name for this batch, such as a UUID. For a week, a batch that is sent again with its "
                "key adds nothing and gets the first answer. All API keys of one owner share these names.",
                examples=["7f3c1a52-2f0e-4f0c-9d59-5b1a3f6f2c11"],
            ),
        ],
        atomic: Annotated[bool, Query(description="Store all events, or none if one of them is wrong.")] = False,
    ) -> Response:
        """Up to 1,000 sessions, purchases and other events. An answer of 200 means that they are stored.

        An offer code that is unknown, used, expired or in no message is not redeemed, and its event is wrong. Wrong
        events are listed in `rejected`, and the others are stored. If all are wrong, or with `atomic=true` if any is,
        nothing is stored and the answer is 422.
        """
        body, owner = await request.body(), request.state.key.owner
        if len(body) > SMALL_BYTES:  # takes long enough to hold up other requests
            batch = await run_in_threadpool(_read, context, body, (owner, idempotency_key), atomic=atomic)
        else:
            batch = _read(context, body, (owner, idempotency_key), atomic=atomic)
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
            {"type": "refund", "customer_id": 4711, "occurred_at": at, "amount": "2.50", "currency": "USD"},
            {"type": "viewed", "customer_id": 4711, "occurred_at": at, "item_id": "burger-17"},
            {"type": "redeemed", "code": SAMPLE, "occurred_at": at},
        ]
    }
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _read(context: Context, body: bytes, key: Key, *, atomic: bool) -> Batch:
    """The batch of a body, under its owner and idempotency key.

    Raises:
        HTTPException: 400 or 422 if there is nothing to store.
    """
    try:
        rows = EventBatch.model_validate(parse(body)).events
    except ValidationError as exc:
        context.metrics.batches.labels("refused").inc()
        errors = event_validation.problems(exc)
        raise problem(422, 'A batch is {"events": […]} with 1 to 1000 events.', errors=errors) from None
    good, wrong = event_validation.validate(rows, context.currency, context.clock())
    if wrong and (atomic or not good):
        raise _nothing_stored(context, wrong, len(rows))
    answer = {"accepted": len(good), "rejected": wrong}
    batch = Batch(*key, hashlib.sha256(b"%d" % atomic + body).digest(), answer, atomic=atomic)
    unfit = {error["index"] for error in wrong}
    _fill(batch, zip((index for index in range(len(rows)) if index not in unfit), good, strict=True))
    return batch


def _nothing_stored(context: Context, wrong: list[dict[str, Any]], events: int) -> HTTPException:
    _count_rejected(context, wrong)
    context.metrics.batches.labels("refused").inc()
    return problem(422, f"{len(wrong)} of {events} events are wrong; nothing was stored.", errors=wrong)


def _count_rejected(context: Context, wrong: list[dict[str, Any]]) -> None:
    for reason, count in Counter(error["reason"] for error in wrong).items():
        context.metrics.rejected.labels(reason).inc(count)


def _fill(batch: Batch, events: Iterable[tuple[int, Any]]) -> None:
    """Sort events, each with its place in the batch, by where they are stored."""
    for index, event in events:
        if isinstance(event, Session):
            batch.sessions.append((event.customer_id, microseconds(event.occurred_at)))
        elif isinstance(event, Purchase):
            batch.purchases.append((event.customer_id, microseconds(event.occurred_at), event.cents))
        elif isinstance(event, Refund):
            batch.refunds.append((event.customer_id, microseconds(event.occurred_at), event.cents))
        elif isinstance(event, AppEvent):
            batch.app_events.append((event.customer_id, event.occurred_at, event.type.value, event.item_id))
        elif isinstance(event, Redeemed):
            batch.redemptions.append(Redemption(index, event.code, event.occurred_at))
        if event.event_id is not None:
            _keep_id(batch, event)


def _keep_id(batch: Batch, event: Any) -> None:
    """Add the key of the last event's id to the batch."""
    key = event_key(event.type, batch.owner, event.event_id)
    batch.answer["duplicates"] = 0
    if isinstance(event, Redeemed):
        batch.redemptions[-1] = batch.redemptions[-1]._replace(event_key=key)
    else:
        rows = _ROWS.get(event.type, "app_events")
        batch.event_keys[rows].append((len(getattr(batch, rows)) - 1, key))


async def _written(request: Request, context: Context, batch: Batch) -> Taken:
    """The result of the batch, once it is committed.

    Raises:
        HTTPException: 503 if too many batches wait.
    """
    future = request.app.state.writer.submit(batch)
    if future is None:
        context.metrics.batches.labels("overloaded").inc()
        raise problem(503, "Too many batches wait to be stored. Send this one again.", {"Retry-After": RETRY_AFTER})
    try:
        taken: Taken = await future
    except (asyncio.CancelledError, *DATABASE_ERRORS) as exc:
        if isinstance(exc, asyncio.CancelledError) or trouble(exc):
            context.metrics.batches.labels("unavailable").inc()
        raise
    return taken


def _answered(context: Context, batch: Batch, taken: Taken) -> Response:
    if taken.refused:
        raise _nothing_stored(context, taken.refused, len(batch))
    if taken.answer is None:
        context.metrics.batches.labels("refused").inc()
        raise problem(422, "This Idempotency-Key was used for another batch. Use a new key for each new batch.")
    if (stored := taken.stored) is None:
        context.metrics.batches.labels("repeated").inc()
        return JSONResponse(taken.answer, headers={"Idempotency-Replayed": "true"})
    context.metrics.batches.labels("stored").inc()
    _count_rejected(context, taken.answer["rejected"])
    counts = {
        "session": len(stored.sessions),
        "purchase": len(stored.purchases),
        "refund": len(stored.refunds),
        "other": len(stored.app_events),
        "redeemed": len(stored.redemptions),
    }
    for kind, count in counts.items():
        if count:
            context.metrics.events.labels(kind).inc(count)
    return JSONResponse(taken.answer)
