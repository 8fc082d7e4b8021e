"""The page *Customer*: one customer's numbers, bucket and message in each campaign."""

from __future__ import annotations

import sqlalchemy as sa

from engage import parsing
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports import customer_history
from engage.sending import ledger

SHOWN = 26
"""Campaigns on the page: four years."""


def customer_page(engine: sa.Engine, viewer: Viewer, customer_id: str | None) -> str:
    """The HTML about a customer, or without an id only the field for one.

    Raises:
        InputError: the text is not a whole number in the range of ids.
        NoSuchCustomer: no customer has this id.
    """
    if not customer_id:
        return html("customer.html", viewer=viewer, customer=None)
    wanted = parsing.customer_id(customer_id.strip())
    with engine.begin() as conn:
        return html(
            "customer.html",
            viewer=viewer,
            customer=customer_history.view(conn, wanted),
            campaigns=customer_history.campaigns(conn, wanted, limit=SHOWN),
            messages=ledger.messages_to(conn, wanted, limit=SHOWN),
        )


def known_id(engine: sa.Engine, text: str) -> int:
    """The id of a known customer from what a user typed.

    Raises:
        InputError: the text is not a whole number in the range of ids.
        NoSuchCustomer: no customer has this id.
    """
    wanted = parsing.customer_id(text.strip())
    with engine.begin() as conn:
        customer_history.view(conn, wanted)
    return wanted
