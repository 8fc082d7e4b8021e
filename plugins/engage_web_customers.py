"""Customers on Engage's pages: one customer's page, and the way to it."""

from __future__ import annotations

from engage_web_access import SEARCH, SEE, TheViewer
from engage_web_database import Database
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from engage.pages import customer_page

router = APIRouter()


class Wanted(BaseModel):
    """The customer's id, as the user typed it."""

    customer_id: str


@router.get("/customer", dependencies=SEE)
def one_customer(engine: Database, viewer: TheViewer, customer_id: str | None = None) -> HTMLResponse:
    """The page about one customer, or without an id only the field for one."""
    return HTMLResponse(customer_page.customer_page(engine, viewer, customer_id))


@router.post("/find-customer", dependencies=SEARCH)
def find_customer(wanted: Wanted, engine: Database) -> JSONResponse:
    """The address of a customer's page. What the user typed stays out of every log, as it may be a phone number."""
    found = customer_page.known_id(engine, wanted.customer_id)
    return JSONResponse({"detail": "", "go": f"customer?customer_id={found}"})
