"""A row of a file of events: read into a row of COPY for its raw log, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.errors import InputError
from engage.imports import copy_format as pack
from engage.imports import values
from engage.imports.columns import Columns
from engage.imports.encoding import is_whole
from engage.imports.rows import Chunk, Fault, Parsed, Rejected
from engage.imports.values import DecimalMark
from engage.statuses import AppEventKind
from engage.storage.binary_copy import MICROSECOND, POSTGRES_EPOCH, microseconds, packed
from engage.window import ANCHOR, LENGTH

SESSION, PURCHASE = "session", "purchase"
TYPES = (SESSION, PURCHASE, *(kind.value for kind in AppEventKind))
FIELDS: dict[str, tuple[str, ...]] = {
    "type": ("event", "event type", "kind"),
    "customer_id": ("customer", "customerid", "customer number", "cust_id", "member_id"),
    "occurred_at": ("time", "timestamp", "date", "datetime", "purchased at", "started at", "order date", "event time"),
    "amount": ("total", "order total", "price", "amount paid"),
    "amount_minor": ("amount cents", "cents"),
    "currency": ("currency code",),
    "item_id": ("item", "sku", "product", "product id"),
}
"""The fields of an event, each with other names of its column."""
SESSIONS, PURCHASES, APP_EVENTS = "import_session", "import_purchase", "import_app_event"
"""The temporary tables that the rows are copied into."""
MAX_CLOCK_SKEW = timedelta(days=1)
"""How far in the future an event may be, as in the HTTP service."""
MAX_ITEM = 200
"""Most characters of an item's id, as in the HTTP service."""
_Stored = tuple[str, tuple[int, ...] | bytes]


@dataclass(frozen=True)
class EventRows:
    """The reader of the rows of one file. ``only`` is the type of all events of a file without such a column."""

    columns: Columns
    only: str | None
    mark: DecimalMark | None
    currency: str
    as_of: datetime

    def __call__(self, chunk: Chunk) -> Parsed:
        """Read the rows of a chunk."""
        parsed = Parsed()
        kept: dict[str, list[Any]] = {SESSIONS: [], PURCHASES: [], APP_EVENTS: []}
        latest = microseconds(self.as_of + MAX_CLOCK_SKEW)
        pick = {field: self._picker(field) for field in FIELDS}
        for row, found in chunk.records():
            parsed.read += 1
            stored = found if isinstance(found, Fault) else self._stored(found, pick, latest, parsed.windows)
            if isinstance(stored, Fault):
                original = stored.values or (() if isinstance(found, Fault) else tuple(found))
                parsed.rejected.append(Rejected(row, stored, original))
            else:
                kept[stored[0]].append(stored[1])
        for name, rows in kept.items():
            parsed.rows[name] = len(rows)
            if name == APP_EVENTS:
                parsed.copied[name] = b"".join(rows)
            elif rows:
                parsed.copied[name] = packed(*np.array(rows, dtype=np.int64).T).tobytes()
        return parsed

    def amounts(self, chunk: Chunk) -> list[str]:
        """The amounts of a chunk, by which its decimal mark is found."""
        place = self.columns.places.get("amount")
        if place is None:
            return []
        return [found[place].strip() for _, found in chunk.records() if not isinstance(found, Fault)]

    def _picker(self, field: str) -> Callable[[list[str]], str]:
        place = self.columns.places.get(field)
        if place is None:
            return lambda found: ""
        return lambda found: "" if (text := found[place].strip()) in values.BLANKS else text

    def _stored(
        self, found: list[str], pick: dict[str, Callable[[list[str]], str]], latest: int, windows: set[int]
    ) -> _Stored | Fault:
        kind = self.only or pick["type"](found).lower()
        if kind not in TYPES:
            return Fault("invalid_type", f"The type is not one of {', '.join(TYPES)}.")
        field = "customer_id"
        try:
            customer_id = values.customer_id(pick[field](found))
            field = "occurred_at"
            moment = values.moment(pick[field](found))
            at = microseconds(moment)
            if at > latest:
                return Fault("future_dated", "The event is more than a day in the future.")
            if kind == SESSION:
                stored: _Stored = (SESSIONS, (customer_id, at))
            elif kind == PURCHASE:
                field = "amount"
                stored = (PURCHASES, (customer_id, at, self._cents(found, pick)))
            else:
                field = "item_id"
                stored = (APP_EVENTS, _app_event(customer_id, moment, kind, pick[field](found)))
        except InputError as exc:
            missing = field != "amount" and not pick[field](found)
            if missing:
                return Fault(f"missing_{field}", f"The row has no {field.replace('_', ' ')}.")
            return Fault(f"invalid_{field}", f"{self.columns.names.get(field, field)[:60]}: {exc}")
        windows.add((at - _ANCHOR) // _LENGTH)
        return stored

    def _cents(self, found: list[str], pick: dict[str, Callable[[list[str]], str]]) -> int:
        currency = pick["currency"](found)
        if currency and currency.upper() != self.currency:
            raise InputError(f"Amounts are in {self.currency} here.")
        amount, minor = pick["amount"](found), pick["amount_minor"](found)
        if amount and minor:
            raise InputError("A purchase takes either an amount or cents, and the row has both.")
        if minor:
            if not (len(minor) < 20 and minor.isascii() and minor.isdigit() and int(minor) <= MAX_AMOUNT_CENTS):
                raise InputError("It takes whole cents, such as 1250.")
            return int(minor)
        if not amount:
            raise InputError("The purchase has no amount.")
        return values.cents(amount, self.mark, MAX_AMOUNT_CENTS)


def _app_event(customer_id: int, at: datetime, kind: str, item: str) -> bytes:
    if not 0 < len(item) <= MAX_ITEM or not item.isprintable() or not is_whole(item):
        raise InputError(f"It takes 1 to {MAX_ITEM} characters, without control characters.")
    return pack.row((pack.int8(customer_id), pack.moment(at), pack.string(kind), pack.string(item)))


_ANCHOR = (ANCHOR - POSTGRES_EPOCH) // MICROSECOND
_LENGTH = LENGTH // MICROSECOND
