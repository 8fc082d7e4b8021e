"""Messages on Engage's pages: the list, one message, what settles an unknown one, and the downloads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Annotated

import engage_web_audit
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.exceptions import AirflowNotFoundException
from airflow.sdk import BaseHook
from engage_steps import SMS_CONNECTION
from engage_web_access import CHANGE_RUNS, EDIT_CONNECTION, SEE, TheViewer, logged
from engage_web_database import Database, DatabaseNow, TheWindow, window_named
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from engage import parsing
from engage.errors import RunError
from engage.pages import csv_download, messages_page
from engage.reports.message_list import Filters
from engage.sending import ledger, providers, reconcile
from engage.sending.ledger import Settlement
from engage.sending.providers import Account, SmsProvider

router = APIRouter()

ASKING_SECONDS = 20.0
"""How long one request may ask the provider."""


class Settle(BaseModel):
    """The message of unknown outcome, and what became of it."""

    window_start: str
    customer_id: str
    status: str
    why: str = Field(max_length=parsing.MAX_NOTE)


class Reconcile(BaseModel):
    """The campaign whose unknown messages the provider is asked about."""

    window_start: str


class Export(BaseModel):
    """The messages to download, as the list names them."""

    window_start: str
    status: str | None = None
    reason: str | None = None
    segment: str | None = None
    fact: str | None = None
    error_code: str | None = None
    customer_id: str | None = None


def _filters(request: Request) -> Filters:
    return Filters.parse(request.query_params)


TheFilters = Annotated[Filters, Depends(_filters)]


@router.get("/messages", dependencies=SEE)
def messages(
    engine: Database,
    viewer: TheViewer,
    filters: TheFilters,
    *,
    window_start: str | None = None,
    after: str | None = None,
    before: str | None = None,
) -> HTMLResponse:
    """The messages of a window, by default of the latest campaign with messages."""
    window = window_named(window_start) if window_start else None
    ends = {name: parsing.customer_id(text) if text else None for name, text in (("after", after), ("before", before))}
    return HTMLResponse(messages_page.messages_page(engine, viewer, window, filters, **ends))


@router.get("/message", dependencies=SEE)
def message(engine: Database, viewer: TheViewer, window: TheWindow, customer_id: str) -> HTMLResponse:
    """One message, with its text and the time of each status."""
    return HTMLResponse(messages_page.message_page(engine, viewer, window, parsing.customer_id(customer_id)))


@router.get("/messages.csv", dependencies=SEE)
def messages_csv(engine: Database, window: TheWindow, filters: TheFilters) -> StreamingResponse:
    """The CSV download of a window's messages, with the phones masked."""
    return _download(csv_download.messages_csv(engine, window, filters), f"messages-{window.start:%Y-%m-%d}.csv")


@router.post("/export-messages", dependencies=[*EDIT_CONNECTION, logged("export_messages")])
def export_messages(wanted: Export, engine: Database, user: GetUserDep) -> StreamingResponse:
    """The CSV download of a window's messages with full phone numbers. The audit log keeps how many rows left."""
    window, filters = window_named(wanted.window_start), Filters.parse(wanted.model_dump(exclude={"window_start"}))
    parts = csv_download.messages_csv(engine, window, filters, phones=True)
    extra = {"window_start": f"{window.start:%Y-%m-%d}", **filters.query()}

    def recorded() -> Iterator[str]:
        rows, complete = -1, False  # the first line has the names of the columns
        try:
            for part in parts:
                rows += part.count("\r\n")
                yield part
            complete = True
        finally:
            engage_web_audit.record_now(user, "exported_messages", **extra, rows=max(rows, 0), complete=complete)

    return _download(recorded(), f"messages-{window.start:%Y-%m-%d}-phones.csv")


@router.post("/settle-message", dependencies=[*CHANGE_RUNS, logged("settle_message")])
def settle_message(wanted: Settle, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Settle a message of unknown outcome by the user's word."""
    customer_id, settled = (
        parsing.customer_id(wanted.customer_id),
        Settlement(wanted.status, wanted.why, user.get_name()),
    )
    ledger.settle(engine, window_named(wanted.window_start), customer_id, settled, as_of=now)
    return JSONResponse({"detail": f"Settled: the message to customer {customer_id} is {wanted.status} now."})


@router.post("/reconcile-messages", dependencies=[*CHANGE_RUNS, logged("reconcile_messages")])
def reconcile_messages(wanted: Reconcile, engine: Database, now: DatabaseNow) -> JSONResponse:
    """Ask the provider about a window's messages of unknown outcome, and settle those that it knows."""
    until = time.monotonic() + ASKING_SECONDS
    window = window_named(wanted.window_start)
    done = reconcile.reconcile(engine, window, _provider, as_of=now, in_time=lambda: time.monotonic() < until)
    return JSONResponse(
        {
            "detail": f"{done.found} found at the provider, {done.not_found} not found and marked as failed, "
            f"{done.still_unknown} still unknown."
        }
    )


def _provider(name: str) -> SmsProvider:
    return providers.provider(name, _account)


def _account() -> Account:
    """The account as the DAG's tasks know it: Airflow's connection."""
    try:
        connection = BaseHook.get_connection(SMS_CONNECTION)
    except AirflowNotFoundException:
        raise RunError(
            f"Airflow has no connection {SMS_CONNECTION}, which names the account at the provider. Add it under Admin, "
            "Connections, or settle the messages by hand."
        ) from None
    api = os.environ.get("ENGAGE_SMS_API")
    return Account.from_parts(connection.login, connection.password, connection.extra_dejson, api=api)


def _download(parts: Iterator[str], name: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts, media_type="text/csv", headers=headers)
