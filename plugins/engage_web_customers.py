"""Customers on Engage's pages: the search, one customer's page, and what a customer may ask for."""

from __future__ import annotations

import engage_web_audit
import engage_web_variables
import sqlalchemy as sa
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import CHANGE_RUNS, EDIT_CONNECTION, SEE, SEE_BY_POST, TheViewer, logged, may_edit_connection
from engage_web_database import Database, DatabaseNow, window_named
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from engage import parsing
from engage.customers import erasure, exclusion, profile
from engage.errors import InputError
from engage.formats import counted
from engage.pages import customer_page, messages_page
from engage.reports import customer_search
from engage.reports.message_list import Filters
from engage.statuses import ConsentSource

router = APIRouter()


class Search(BaseModel):
    """What the user typed: an id, a name, or digits of a phone."""

    text: str = Field(max_length=100)


class SearchOfMessages(Search):
    """The campaign, and what the user typed to find a customer."""

    window_start: str


class OptOut(BaseModel):
    """The customer to opt out, and the reason."""

    customer_id: str
    why: str = Field(max_length=parsing.MAX_NOTE)


class Exclude(BaseModel):
    """The customer to exclude from all texts, and the reason."""

    customer_id: str
    why: str = Field(max_length=parsing.MAX_NOTE)


class Include(BaseModel):
    """The customer whose exclusion ends."""

    customer_id: str


class Forget(BaseModel):
    """The customer to forget, and the id that the user typed to confirm it."""

    customer_id: str
    typed_id: str


@router.get("/customer", dependencies=SEE)
def one_customer(
    engine: Database, viewer: TheViewer, session: SessionDep, now: DatabaseNow, customer_id: str | None = None
) -> HTMLResponse:
    """The page about one customer, or without an id only the search."""
    settings = engage_web_variables.eligibility_settings(session)
    return HTMLResponse(customer_page.customer_page(engine, viewer, customer_id, settings, as_of=now))


@router.post("/find-customer", dependencies=SEE_BY_POST)
def find_customer(wanted: Search, engine: Database, user: GetUserDep) -> JSONResponse:
    """The address of the customer who was searched for, or a list if there are several.

    What the user typed may be a phone number. So it stays out of addresses, logs and errors. The audit log has that a
    user searched by a full phone number, without the number.
    """
    found, several = search(engine, user, wanted.text)
    return JSONResponse({"detail": "", "html": several} | ({"go": f"customer?customer_id={found}"} if found else {}))


@router.post("/find-message", dependencies=SEE_BY_POST)
def find_message(wanted: SearchOfMessages, engine: Database, user: GetUserDep) -> JSONResponse:
    """The address of a campaign's message to the customer who was searched for."""
    window = window_named(wanted.window_start)
    found, _ = search(engine, user, wanted.text)
    if found is None:
        raise InputError("Several customers match. Type the id; the page Customers lists them.")
    return JSONResponse({"detail": "", "go": messages_page.address(window, Filters(customer_id=found))})


def search(engine: sa.Engine, user: BaseUser, text: str) -> tuple[int | None, str]:
    """The id of the only customer whom a typed text means, or the HTML of several."""
    full_phone = may_edit_connection(user)
    if full_phone and customer_search.has_full_phone(text):
        engage_web_audit.record_now(user, "search_by_phone")
    return customer_page.results(engine, text, full_phone=full_phone)


@router.post("/opt-out", dependencies=[*CHANGE_RUNS, logged("opt_out")])
def opt_out(wanted: OptOut, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """End texts to a customer, and to all customers with the same phone."""
    customer_id = parsing.customer_id(wanted.customer_id)
    why, source = parsing.note(wanted.why, "The reason"), ConsentSource.OPERATOR
    with engine.begin() as conn:
        profile.opt_out(conn, customer_id, as_of=now, source=source, actor=user.get_name(), evidence=why)
    return JSONResponse({"detail": f"Customer {customer_id} is opted out."})


@router.post("/exclude-customer", dependencies=[*CHANGE_RUNS, logged("exclude_customer")])
def exclude_customer(wanted: Exclude, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Take a customer out of the texts of every campaign."""
    customer_id, why = parsing.customer_id(wanted.customer_id), parsing.note(wanted.why, "The reason")
    with engine.begin() as conn:
        new = exclusion.exclude(conn, customer_id, reason=why, by=user.get_name(), as_of=now)
    return JSONResponse({"detail": f"Customer {customer_id} {'is' if new else 'was already'} excluded from all texts."})


@router.post("/include-customer", dependencies=[*CHANGE_RUNS, logged("include_customer")])
def include_customer(wanted: Include, engine: Database) -> JSONResponse:
    """End a customer's exclusion."""
    customer_id = parsing.customer_id(wanted.customer_id)
    with engine.begin() as conn:
        ended = exclusion.include(conn, customer_id)
    done = "is included again" if ended else "was not excluded"
    return JSONResponse({"detail": f"Customer {customer_id} {done}."})


@router.post("/forget-customer", dependencies=[*EDIT_CONNECTION, logged("forget_customer")])
def forget_customer(wanted: Forget, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Erase a customer's data, and keep the counts of campaigns."""
    customer_id = parsing.customer_id(wanted.customer_id)
    if wanted.typed_id.strip() != wanted.customer_id:
        raise InputError(f"What you typed is not the customer's id. Type {customer_id} to forget this customer.")
    done = erasure.forget(engine, customer_id, as_of=now, actor=user.get_name())
    sentence = (
        f"Customer {customer_id} is forgotten: {counted(done.events, 'event')} deleted, "
        f"{counted(done.messages, 'message')} made anonymous, the phone suppressed."
    )
    if done.archive_waits:
        sentence += " The archive may still hold the events: the next run of engage_maintenance erases them there."
    return JSONResponse({"detail": sentence, "go": "customer"})
