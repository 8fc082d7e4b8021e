"""A row of a file of customers: read into a row of COPY, or refused with the reason."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any

from engage.customers.consent_record import SALT_BYTES
from engage.errors import InputError
from engage.imports import copy_format as pack
from engage.imports import customer_values
from engage.imports.columns import Columns, plain
from engage.imports.rows import Chunk, Fault, Parsed, Rejected
from engage.texts import phone
from engage.texts.names import MAX_NAME

STAGED = "import_customer"
"""The temporary table that the rows are copied into."""
FIELDS: dict[str, tuple[str, ...]] = {
    "customer_id": ("customer", "customerid", "customer number", "customer no", "id", "cust_id", "member_id"),
    "name": ("full name", "fullname", "customer name", "display name"),
    "first_name": ("firstname", "given name", "forename"),
    "last_name": ("lastname", "surname", "family name"),
    "phone": ("phone number", "mobile", "mobile phone", "mobile number", "cell", "cell phone", "telephone", "msisdn"),
    "locale": ("language", "lang"),
    "time_zone": ("timezone", "tz"),
    "registered_at": ("registered", "registration date", "signup date", "created", "created at", "member since"),
    "consent_at": ("consent date", "consent time", "sms consent date", "opt in date", "opted in at", "optin date"),
    "consent_source": ("sms consent source", "opt in source", "optin source"),
    "consent_wording": ("consent text",),
    "consent_evidence": ("consent proof",),
}
"""The fields of a customer, each with other names of its column."""
_OPT_OUTS = re.compile(
    "opt(ed)?_?out|unsub|do_?not_?(call|contact|disturb|mail|market|message|send|sms|text)|^(dnc|dnd|stop)$"
)
"""Plain names of columns that list opt-outs, which a file cannot record."""
_CONSENT = ("consent_at", "consent_source", "consent_wording", "consent_evidence")
_CONSENT_MORE = set(_CONSENT[2:])


def lists_opt_outs(name: str) -> bool:
    """Whether a column seems to list opt-outs, by its name."""
    return _OPT_OUTS.search(plain(name)) is not None


class Known:
    """The plain names of columns that count: of fields, and of opt-outs."""

    _fields = frozenset(plain(name) for field, synonyms in FIELDS.items() for name in (field, *synonyms))

    def __contains__(self, name: object) -> bool:
        return name in self._fields or lists_opt_outs(str(name))


def refuse_opt_outs(columns: Columns, given: tuple[str, ...]) -> None:
    """Refuse a file that lists opt-outs in a column, unless the operator says that it is not to be read.

    Raises:
        InputError: names the column.
    """
    waived = {plain(text.rpartition("=")[0]) for text in given}
    for column in columns.ignored:
        if lists_opt_outs(column.name) and plain(column.name) not in waived:
            raise InputError(
                f"The column {column.name[:40]!r} seems to list opt-outs, and an import does not record any. Send them "
                "to the HTTP service (POST /v1/customers/ID/opt-out), or leave out the rows. Then, to read the file "
                f'without this column, add --map "{column.name[:40]}=-".'
            )


@dataclass(frozen=True)
class CustomerRows:
    """The reader of the rows of one file. Column by column it takes half the time of row by row."""

    columns: Columns
    country: str | None
    hash_key: bytes
    as_of: datetime
    former: bool
    """Whether to hash a phone's former spellings too. Only a suppression can have such a hash."""

    def __call__(self, chunk: Chunk) -> Parsed:
        """Read the rows of a chunk."""
        parsed = Parsed()
        rows: list[int] = []
        found: list[list[str]] = []
        for row, texts in chunk.records():
            if isinstance(texts, Fault):
                parsed.rejected.append(Rejected(row, texts, texts.values or ()))
            else:
                rows.append(row)
                found.append(texts)
        parsed.read = len(rows) + len(parsed.rejected)
        packed = self._packed(rows, found, parsed) if rows else []
        parsed.rejected.sort()
        parsed.copied[STAGED] = b"".join(packed)
        parsed.rows[STAGED] = len(packed)
        return parsed

    def _packed(self, rows: list[int], found: list[list[str]], parsed: Parsed) -> list[bytes]:
        """The rows that are right in the format of COPY. The others get into ``parsed.rejected``."""
        faults: dict[int, Fault] = {}
        texts, readers = list(zip(*found, strict=True)), customer_values.readers(self.country, self.as_of)
        given = {
            field: self._column(field, readers[field], texts[place], faults)
            for field, place in self.columns.places.items()
        }
        for place, customer_id in enumerate(given["customer_id"]):
            if customer_id is None:
                faults.setdefault(place, Fault("missing_customer_id", "The row has no customer id."))
        names = self._names(given, faults)
        halves = _make_whole(given, len(rows))
        if incomplete := sum(place not in faults for place in halves):
            parsed.notes["consent_incomplete"] += incomplete
        nothing = repeat(pack.NULL)
        packed = pack.rows(
            (
                pack.int8s(rows),
                pack.int8s(customer_id or 0 for customer_id in given["customer_id"]),
                given.get("registered_at", nothing),
                pack.strings(names),
                *self._phones(given.get("phone")),
                given.get("locale", nothing),
                given.get("time_zone", nothing),
                *(given.get(field, nothing) for field in _CONSENT),
                _salts(len(rows)),
                pack.strings(_as_json(found)),
            )
        )
        parsed.rejected += [Rejected(rows[place], fault, tuple(found[place])) for place, fault in faults.items()]
        return [row for place, row in enumerate(packed) if place not in faults] if faults else packed

    def _column(
        self, field: str, read: Callable[[str], Any], texts: Sequence[str], faults: dict[int, Fault]
    ) -> list[Any]:
        """The values of a field. A row's first fault gets into ``faults``, under its place in the chunk."""
        try:
            return list(map(read, texts))
        except InputError:
            return [self._value(field, read, text, place, faults) for place, text in enumerate(texts)]

    def _value(self, field: str, read: Callable[[str], Any], text: str, place: int, faults: dict[int, Fault]) -> Any:
        try:
            return read(text)
        except InputError as exc:
            fault = Fault(f"invalid_{field}", f"{self.columns.names[field][:60]}: {exc}")
            faults.setdefault(place, fault)
            return read("")

    def _names(self, given: Mapping[str, list[Any]], faults: dict[int, Fault]) -> list[str | None]:
        """The names of the customers: the full one, or else of its parts."""
        nothing: Iterable[None] = repeat(None)
        parts = [given.get(field, nothing) for field in ("first_name", "last_name")]
        names = [
            name or " ".join(filter(None, parts)) or None
            for name, _, *parts in zip(given.get("name", nothing), given["customer_id"], *parts, strict=False)
        ]
        for place, name in enumerate(names):
            if name and len(name) > MAX_NAME:
                faults.setdefault(place, Fault("invalid_name", f"A name has at most {MAX_NAME} characters."))
        return names

    def _phones(self, phones: Sequence[str | None] | None) -> Sequence[Iterable[bytes]]:
        """The columns of the phones, their hashes, and the hashes of their former spellings."""
        nothing = repeat(pack.NULL)
        if phones is None:
            return nothing, nothing, nothing
        hashes = [pack.binary(self._hash(number) if number else None) for number in phones]
        return pack.strings(phones), hashes, map(self._former, phones) if self.former else nothing

    def _hash(self, number: str) -> bytes:
        return phone.phone_hash(number, self.hash_key)

    def _former(self, number: str | None) -> bytes:
        """The hashes under which an earlier version may have suppressed a phone."""
        return pack.binaries(list(map(self._hash, phone.possible_trunk_spellings(number)))) if number else pack.NULL


def _make_whole(given: dict[str, list[Any]], rows: int) -> list[int]:
    """Take the halves of consents out of a chunk's values, with what was said beside them; returns their places."""
    nothing = [pack.NULL] * rows
    times, sources = (given.get(field, nothing) for field in ("consent_at", "consent_source"))
    halves = [
        place
        for place, (at, source) in enumerate(zip(times, sources, strict=True))
        if (at is pack.NULL) != (source is pack.NULL)
    ]
    for column in (times, sources):
        for place in halves:
            column[place] = pack.NULL
    for field in _CONSENT_MORE & given.keys():
        given[field] = [value if at is not pack.NULL else at for at, value in zip(times, given[field], strict=True)]
    return halves


def _salts(rows: int) -> Iterable[bytes]:
    """Random bytes for the seal of each row's change of consent, made at once."""
    random = secrets.token_bytes(SALT_BYTES * rows)
    return map(pack.binary, (random[start : start + SALT_BYTES] for start in range(0, len(random), SALT_BYTES)))


def _as_json(found: list[list[str]]) -> list[str]:
    """The values of each row as JSON, without the brackets around them.

    All rows are made in one call, because a call for each takes four times as long. JSON has no line end within a
    value, so the rows can be told apart by it.
    """
    return json.dumps(found, separators=(",\n", ":"))[2:-2].split("],\n[")
