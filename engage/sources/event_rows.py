"""The rows of a source as events, by the rules of the HTTP service; a wrong row is rejected for the same reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from engage import parsing
from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.errors import InputError, SourceError
from engage.parsing import EARLIEST, MAX_CUSTOMER_ID
from engage.statuses import AppEventKind
from engage.window import Window, as_utc

MOST_OF_AN_ID, MOST_OF_AN_ITEM = 100, 200
_ANY = ("event_id", "customer_id", "occurred_at")
_MONEY = (*_ANY, "amount", "amount_minor")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "session": _ANY,
    "purchase": _MONEY,
    "refund": _MONEY,
    **{str(kind): (*_ANY, "item_id") for kind in AppEventKind},
}
"""The kinds of events, each with its fields, by their names over HTTP. Money has one of the two amounts."""

Row = Sequence[Any]
Event = tuple[str, int, datetime, Any]
"""The event's id, the customer's, the time in UTC, and cents or an item's id."""

_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "event_id": ((str, int, Decimal), "text or a whole number"),
    "customer_id": ((int, Decimal), "a whole number"),
    "occurred_at": ((datetime, str), "a time; one without a zone is UTC"),
    "amount": ((Decimal, int, float, str), "a number"),
    "amount_minor": ((int, Decimal), "a whole number of cents"),
    "item_id": ((str,), "text"),
}


@dataclass
class Rows:
    """The rows of a chunk, sorted out: the window's events, how many lie outside of it, the wrong ones by reason."""

    events: list[Event] = field(default_factory=list)
    outside: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True)
class Columns:
    """Where the fields of an event stand in a row. ``names``: the source's name of each field."""

    kind: str
    fields: tuple[str, ...]
    names: tuple[str, ...]
    places: tuple[int, ...]

    @classmethod
    def found(cls, kind: str, renamed: Mapping[str, str], given: Sequence[str], where: str) -> Columns:
        """The columns of a kind of event among those of a table or file. Capital and small letters are the same.

        Raises:
            SourceError: one is missing. ``where`` says in what, for the sentence.
        """
        places = {name.lower(): place for place, name in reversed([*enumerate(given)])}
        fields, missing = [], []
        for one in FIELDS[kind]:
            if renamed.get(one, one).lower() in places:
                fields.append(one)
            elif one not in {"amount", "amount_minor"}:
                missing.append(renamed.get(one, one))
        if "amount" in FIELDS[kind] and not {"amount", "amount_minor"} & {*fields}:
            missing.append(f"{renamed.get('amount', 'amount')} or {renamed.get('amount_minor', 'amount_minor')}")
        if missing:
            raise SourceError(
                f"{where} has no column {', '.join(missing)}, which {kind} needs; it has {', '.join(given)[:300]}. "
                "Name the columns in the query with AS, or under columns in the connection's extra."
            )
        names = tuple(renamed.get(one, one) for one in fields)
        return cls(kind, tuple(fields), names, tuple(places[name.lower()] for name in names))

    def require_types(self, rows: Iterable[Row], where: str) -> None:
        """Refuse a column whose first value is of another type than its field takes.

        Raises:
            SourceError: there is one.
        """
        wanted = dict(zip(self.fields, self.places, strict=True))
        for row in rows:
            for one, place in [*wanted.items()]:
                if (value := row[place]) is None:
                    continue
                types, allowed = _TYPES[one]
                if not isinstance(value, types) or isinstance(value, bool):
                    name = self.names[self.fields.index(one)]
                    raise SourceError(
                        f"{where}: the column {name} holds {type(value).__name__}, and {one} of {self.kind} takes "
                        f"{allowed}. Cast it in the query, or name another column."
                    )
                del wanted[one]
            if not wanted:
                return

    def sorted_out(self, rows: Iterable[Row], window: Window) -> Rows:
        """The events of a chunk that lie in the window."""
        found, (event_id, customer_id, occurred_at, *more) = Rows(), self.places
        extra, read = (more[0], self._reader()) if more else (event_id, _nothing)
        for row in rows:
            name, at = _event_id(row[event_id]), _time(row[occurred_at])
            if at is not None:
                found.first = at if found.first is None or at < found.first else found.first
                found.last = at if found.last is None or at > found.last else found.last
            if name is None or at is None:
                found.rejected["missing_event_id" if name is None else "invalid_time"] += 1
            elif not window.start <= at < window.end:
                found.outside += 1
            elif (customer := _whole(row[customer_id])) is None or not 1 <= customer <= MAX_CUSTOMER_ID:
                found.rejected["missing_customer"] += 1
            elif (value := read(row[extra])) is None:
                found.rejected["invalid_item" if self.fields[3] == "item_id" else "invalid_amount"] += 1
            else:
                found.events.append((name, customer, at, value))
        return found

    def _reader(self) -> Callable[[object], object]:
        """What reads the field that only this kind of event has."""
        read = _EXTRA[self.fields[3]]
        return (lambda value: read(value) or None) if self.kind == "refund" else read  # a refund is above zero


def _nothing(value: object) -> object:
    return 0


def _event_id(value: object) -> str | None:
    text = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    return text if 0 < len(text) <= MOST_OF_AN_ID and text.isprintable() else None


def _whole(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    whole = isinstance(value, Decimal) and value.is_finite() and abs(value) < 10**19 and value == int(value)
    return int(value) if isinstance(value, Decimal) and whole else None


def _time(value: object) -> datetime | None:
    try:
        if isinstance(value, str):
            return parsing.moment(value)
        found = as_utc(value) if isinstance(value, datetime) else None
    except (InputError, OverflowError):
        return None
    return found if found and found >= EARLIEST else None


def _cents(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = value if isinstance(value, Decimal) else parsing.number(str(value))
    except InputError:  # as NaN, or text
        return None
    return _amount_minor(amount * 100)


def _amount_minor(value: object) -> int | None:
    cents = _whole(value)
    return cents if cents is not None and 0 <= cents <= MAX_AMOUNT_CENTS else None


def _item(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MOST_OF_AN_ITEM and value.isprintable() else None


_EXTRA: Mapping[str, Callable[[object], object]] = {"amount": _cents, "amount_minor": _amount_minor, "item_id": _item}
