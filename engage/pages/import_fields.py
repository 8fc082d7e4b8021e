"""The fields of a file of customers or events in words, for the page *Import*."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["customers", "events"]


class FieldWords(NamedTuple):
    """What a field holds, and an example."""

    name: str
    meaning: str
    example: str
    needed: bool = False


CUSTOMERS = (
    FieldWords("customer_id", "The app's id: a whole number.", "4711", needed=True),
    FieldWords("name", "First and last name, or both apart: first_name and last_name.", "Ada Lovelace"),
    FieldWords("phone", "The number with + and its country, or as it is dialled within the country below.", "+12025550123"),
    FieldWords("locale", "The language of the texts.", "en-US"),
    FieldWords("time_zone", "The IANA time zone.", "America/New_York"),
    FieldWords("registered_at", "When the customer registered. A new customer without it has the time of the import.", "2026-01-31"),
    FieldWords("consent_at", "When the customer agreed to texts. Without it the customer is kept, and gets no text.", "2026-01-31T12:30:00Z"),
    FieldWords("consent_source", "Where the customer agreed. A consent needs its time and its source.", "app"),
)
EVENTS = (
    FieldWords("customer_id", "The app's id of the customer.", "4711", needed=True),
    FieldWords("occurred_at", "When it happened. A time without a zone is UTC.", "2026-01-31T12:30:00Z", needed=True),
    FieldWords("type", "session, purchase, or what the app does with an item. A file without it is of one type.", "purchase", needed=True),
    FieldWords("amount", "What a purchase cost; or amount_minor, in cents.", "12.50"),
    FieldWords("currency", "The currency of the amount, which is the same for all of Engage.", "USD"),
    FieldWords("item_id", "The item, for what the app does with one.", "margherita"),
)
FIELD_WORDS: dict[Kind, tuple[FieldWords, ...]] = {"customers": CUSTOMERS, "events": EVENTS}
"""The fields that the page explains. The lists of its report have all of them."""
