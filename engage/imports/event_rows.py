"""A row of a file of events: read into a row of COPY for its raw log, or refused with the reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

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
from engage.storage.event_ids import event_key
from engage.window import ANCHOR, LENGTH

SESSION, PURCHASE, REFUND = "session", "purchase", "refund"
TYPES = (SESSION, PURCHASE, REFUND, *(kind.value for kind in AppEventKind))
FIELDS: dict[str, tuple[str, ...]] = {
    "type": ("event", "event type", "kind"),
    "customer_id": ("customer", "customerid", "customer number", "cust_id", "member_id"),
    "occurred_at": (
        "time",
        "timestamp",
        "date",
        "datetime",
        "purchased at",
        "started at",
        "refunded at",
        "order date",
        "event time",
    ),
    "amount": ("total", "order total", "price", "amount paid"),
    "amount_minor": ("amount cents", "cents"),
    "currency": ("currency code",),
    "item_id": ("item", "sku", "product", "product id"),
    "event_id": ("eventid", "event uuid"),
}
"""The fields of an event, each with other names of its column. An order's number is no event id by itself: a file
with a row for each item of an order repeats it."""
SESSIONS, PURCHASES, REFUNDS = "import_session", "import_purchase", "import_refund"
APP_EVENTS = "import_app_event"
"""The temporary tables that the rows are copied into."""
WITH_ID = "{}_with_id"
"""The name of the one that takes the rows with an event id instead."""
MAX_CLOCK_SKEW = timedelta(days=1)
"""How far in the future an event may be, as in the HTTP service."""
MAX_ITEM = 200
"""Most characters of an item's id, as in the HTTP service."""
MAX_EVENT_ID = 100
"""Most characters of an event's id, as in the HTTP service."""
_KEY_BYTES = 16


class _Stored(NamedTuple):
    """A row of a raw log: its temporary table, its values, and the key of its event id."""

    table: str
    values: tuple[Any, ...]
    key: bytes | None


@dataclass(frozen=True)
class EventRows:
    """The reader of the rows of one file. ``only`` is the type of all events of a file without such a column."""

    columns: Columns
    only: str | None
    mark: DecimalMark | None
    currency: str
    owner: str
    """The owner of the event ids."""
    as_of: datetime

    def __call__(self, chunk: Chunk) -> Parsed:
        """Read the rows of a chunk."""
        parsed = Parsed()
        kept: defaultdict[tuple[str, bool], list[tuple[Any, ...]]] = defaultdict(list)
        latest = microseconds(self.as_of + MAX_CLOCK_SKEW)
        pick = {field: self._picker(field) for field in FIELDS}
        for row, found in chunk.records():
            parsed.read += 1
            stored = found if isinstance(found, Fault) else self._stored(found, pick, latest, parsed.windows)
            if isinstance(stored, Fault):
                original = stored.values or (() if isinstance(found, Fault) else tuple(found))
                parsed.rejected.append(Rejected(row, stored, original))
            else:
                with_id = stored.key is not None
                kept[stored.table, with_id].append((*stored.values, row, stored.key) if with_id else stored.values)
        for (name, with_id), rows in kept.items():
            parsed.rows[name] += len(rows)
            pack_all = _app_events if name == APP_EVENTS else _numbers
            parsed.copied[WITH_ID.format(name) if with_id else name] = pack_all(rows, with_id=with_id)
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
            stored: tuple[Any, ...] = (customer_id, at)
            if kind in (PURCHASE, REFUND):
                field = "amount"
                stored = (*stored, self._cents(kind, found, pick))
            elif kind != SESSION:
                field = "item_id"
                stored = (customer_id, moment, kind, _item(pick[field](found)))
            field = "event_id"
            key = self._key(kind, pick[field](found))
        except InputError as exc:
            missing = field not in ("amount", "event_id") and not pick[field](found)
            if missing:
                return Fault(f"missing_{field}", f"The row has no {field.replace('_', ' ')}.")
            return Fault(f"invalid_{field}", f"{self.columns.names.get(field, field)[:60]}: {exc}")
        windows.add((at - _ANCHOR) // _LENGTH)
        return _Stored(_TABLES.get(kind, APP_EVENTS), stored, key)

    def _key(self, kind: str, name: str) -> bytes | None:
        if not name:
            return None
        if len(name) > MAX_EVENT_ID or not name.isprintable() or not is_whole(name):
            raise InputError(f"It takes at most {MAX_EVENT_ID} characters, without control characters.")
        return event_key(kind, self.owner, name)

    def _cents(self, kind: str, found: list[str], pick: dict[str, Callable[[list[str]], str]]) -> int:
        cents = self._amount(kind, found, pick)
        if kind == REFUND and not cents:
            raise InputError("A refund has an amount above 0.")
        return cents

    def _amount(self, kind: str, found: list[str], pick: dict[str, Callable[[list[str]], str]]) -> int:
        currency = pick["currency"](found)
        if currency and currency.upper() != self.currency:
            raise InputError(f"Amounts are in {self.currency} here.")
        amount, minor = pick["amount"](found), pick["amount_minor"](found)
        if amount and minor:
            raise InputError(f"A {kind} takes either an amount or cents, and the row has both.")
        if minor:
            if not (len(minor) < 20 and minor.isascii() and minor.isdigit() and int(minor) <= MAX_AMOUNT_CENTS):
                raise InputError("It takes whole cents, such as 1250.")
            return int(minor)
        if not amount:
            raise InputError(f"The {kind} has no amount.")
        return values.cents(amount, self.mark, MAX_AMOUNT_CENTS)


_TABLES = {SESSION: SESSIONS, PURCHASE: PURCHASES, REFUND: REFUNDS}


def _item(item: str) -> str:
    if not 0 < len(item) <= MAX_ITEM or not item.isprintable() or not is_whole(item):
        raise InputError(f"It takes 1 to {MAX_ITEM} characters, without control characters.")
    return item


def _numbers(rows: list[tuple[Any, ...]], *, with_id: bool) -> bytes:
    """Rows of numbers in the format of COPY, the last value a key if they have ids."""
    if not with_id:
        return packed(*np.array(rows, dtype=np.int64).T).tobytes()
    *numbers, keys = zip(*rows, strict=True)
    columns = [np.array(values, dtype=np.int64) for values in numbers]
    return packed(*columns, np.frombuffer(b"".join(keys), f"V{_KEY_BYTES}")).tobytes()


def _app_events(rows: list[tuple[Any, ...]], *, with_id: bool) -> bytes:
    packs: list[Callable[[Any], bytes]] = [pack.int8, pack.moment, pack.string, pack.string]
    if with_id:
        packs += [pack.int8, pack.uuid]
    return b"".join(pack.row([to(value) for to, value in zip(packs, row, strict=True)]) for row in rows)


_ANCHOR = (ANCHOR - POSTGRES_EPOCH) // MICROSECOND
_LENGTH = LENGTH // MICROSECOND
