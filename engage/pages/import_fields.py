"""The fields of a file of customers or events in words, for the page *Import*."""

from __future__ import annotations

from typing import NamedTuple

from engage.imports import customer_rows, event_rows
from engage.pages.import_options import Kind

FIELDS: dict[Kind, dict[str, tuple[str, ...]]] = {"customers": customer_rows.FIELDS, "events": event_rows.FIELDS}
"""All fields of a kind of file, each with other names of its column."""


class FieldWords(NamedTuple):
    """What a field holds, and an example."""

    name: str
    meaning: str
    example: str
    needed: bool = False


CUSTOMERS = (
    FieldWords("customer_id", "The app's id: a whole number.", "4711", needed=True),
    FieldWords("name", "First and last name, or both apart: first_name and last_name.", "Ada Lovelace"),
    FieldWords(
        "phone", "With + and the country's code, or as it is dialled in the country that you choose.", "+12025550123"
    ),
    FieldWords("locale", "The language of the texts.", "en-US"),
    FieldWords("time_zone", "The IANA time zone.", "America/New_York"),
    FieldWords(
        "registered_at",
        "When the customer registered. Without it, a new customer registers now.",
        "2026-01-31",
    ),
    FieldWords(
        "consent_at",
        "When the customer agreed to texts. A customer without it gets none.",
        "2026-01-31T12:30:00Z",
    ),
    FieldWords("consent_source", "Where the customer agreed. A consent needs both.", "app"),
    FieldWords("consent_wording", "What the customer agreed to. The consent record keeps it.", "Yes, text me offers."),
    FieldWords("consent_evidence", "A proof of the consent. The consent record keeps it.", "form 17"),
)
EVENTS = (
    FieldWords("customer_id", "The app's id of the customer.", "4711", needed=True),
    FieldWords("occurred_at", "When it happened. A time without a zone is UTC.", "2026-01-31T12:30:00Z", needed=True),
    FieldWords(
        "type",
        "A session, a purchase, a refund, or what the app does with an item.",
        "purchase",
        needed=True,
    ),
    FieldWords("amount", "What a purchase cost, or what a refund gave back; or amount_minor, in cents.", "12.50"),
    FieldWords("item_id", "The item, for what the app does with one.", "margherita"),
    FieldWords("event_id", "Your name for the event. For 16 weeks it counts once in all files.", "order-1187"),
)
FIELD_WORDS: dict[Kind, tuple[FieldWords, ...]] = {"customers": CUSTOMERS, "events": EVENTS}
"""The fields that the page explains. The lists of its report have all of them."""
