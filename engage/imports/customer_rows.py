"""A row of a file of customers: read into a row of COPY, or refused with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from engage import parsing
from engage.errors import InputError
from engage.imports import copy_format as pack
from engage.imports import values
from engage.imports.columns import Columns, plain
from engage.imports.encoding import is_whole
from engage.imports.rows import Chunk, Fault, Parsed, Rejected
from engage.texts import names, phone

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
MAX_CONSENT_SKEW = timedelta(minutes=5)
"""How far the clock may be ahead that dated a consent, as in the HTTP service."""
_MAX_SOURCE, _MAX_WORDING = 200, 2000
_REPEATING = {"locale", "time_zone", "consent_at", "consent_source", "consent_wording"}
"""Fields with the same value in many rows, so that the last values are kept."""
_KEPT = 10_000
_string, _moment = lru_cache(_KEPT)(pack.string), lru_cache(_KEPT)(pack.moment)
_LOST = "A character was lost (�) when the file was made. Write the value anew."


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
    """The reader of the rows of one file."""

    columns: Columns
    country: str | None
    hash_key: bytes
    as_of: datetime

    def __call__(self, chunk: Chunk) -> Parsed:
        """Read the rows of a chunk."""
        parsed, copied = Parsed(), []
        readers = self._readers()
        for row, found in chunk.records():
            parsed.read += 1
            packed = found if isinstance(found, Fault) else self._packed(row, found, readers, parsed)
            if isinstance(packed, Fault):
                original = packed.values or (() if isinstance(found, Fault) else tuple(found))
                parsed.rejected.append(Rejected(row, packed, original))
            else:
                copied.append(packed)
        parsed.copied[STAGED] = b"".join(copied)
        parsed.rows[STAGED] = len(copied)
        return parsed

    def _readers(self) -> list[tuple[str, int, Callable[[str], Any]]]:
        """The fields of the file, their places, and how to read each."""
        read: dict[str, Callable[[str], Any]] = {
            "customer_id": values.customer_id,
            "phone": partial(_phone, country=self.country),
            "locale": _locale,
            "time_zone": _time_zone,
            "registered_at": values.moment,
            "consent_at": partial(_consent_time, latest=self.as_of + MAX_CONSENT_SKEW),
            "consent_source": partial(_line, most=_MAX_SOURCE),
            "consent_wording": partial(_lines, most=_MAX_WORDING),
            "consent_evidence": partial(_lines, most=_MAX_WORDING),
        }
        for field in _REPEATING & read.keys():
            read[field] = lru_cache(_KEPT)(read[field])
        return [(field, place, read.get(field, _name)) for field, place in self.columns.places.items()]

    def _packed(
        self, row: int, found: list[str], readers: list[tuple[str, int, Callable[[str], Any]]], parsed: Parsed
    ) -> bytes | Fault:
        got: dict[str, Any] = {}
        for field, place, read in readers:
            text = found[place].strip()
            if text not in values.BLANKS:
                try:
                    got[field] = read(text)
                except InputError as exc:
                    return Fault(f"invalid_{field}", f"{self.columns.names[field][:60]}: {exc}")
        if "customer_id" not in got:
            return Fault("missing_customer_id", "The row has no customer id.")
        name = got.get("name") or " ".join(got[part] for part in ("first_name", "last_name") if part in got) or None
        if name and len(name) > names.MAX_NAME:
            return Fault("invalid_name", f"A name has at most {names.MAX_NAME} characters.")
        return self._row(row, got, name, found, parsed)

    def _row(self, row: int, got: Mapping[str, Any], name: str | None, found: list[str], parsed: Parsed) -> bytes:
        number = got.get("phone")
        hashes = [phone.phone_hash(text, self.hash_key) for text in _spellings(number)]
        at, source = got.get("consent_at"), got.get("consent_source")
        if (at is None) != (source is None):
            parsed.notes["consent_incomplete"] += 1
        whole = bool(at and source)
        return pack.row(
            (
                pack.int8(row),
                pack.int8(got["customer_id"]),
                _moment(got.get("registered_at")),
                pack.string(name),
                pack.string(number),
                pack.binary(hashes[0] if hashes else None),
                pack.binaries(hashes[1:]),
                _string(got.get("locale")),
                _string(got.get("time_zone")),
                _moment(at if whole else None),
                _string(source if whole else None),
                _string(got.get("consent_wording") if whole else None),
                pack.string(got.get("consent_evidence") if whole else None),
                pack.string(json.dumps(found)),
            )
        )


def _spellings(number: str | None) -> list[str]:
    """A phone, and the spellings under which an earlier version may have suppressed it."""
    return [number, *phone.possible_trunk_spellings(number)] if number else []


def _phone(text: str, *, country: str | None) -> str:
    values.refuse_exponent(text)
    return phone.parse_any(text, country)


def _name(text: str) -> str:
    if len(text) > names.MAX_NAME:
        raise InputError(f"A name has at most {names.MAX_NAME} characters.")
    if text.isascii() and text.isprintable():
        return text
    if not is_whole(text):
        raise InputError(_LOST)
    return names.stored_form(text)


def _locale(text: str) -> str:
    if len(text) <= names.MAX_LOCALE and re.match(names.LOCALE, text):
        return text
    raise InputError("It takes a locale such as en-US.")


def _time_zone(text: str) -> str:
    try:
        return parsing.time_zone(text)
    except InputError:
        raise InputError("It takes an IANA time zone such as America/New_York.") from None


def _consent_time(text: str, *, latest: datetime) -> datetime:
    found = values.moment(text)
    if found > latest:
        raise InputError("The consent lies in the future. It takes the time at which the customer gave it.")
    return found


def _line(text: str, *, most: int) -> str:
    if not text.isprintable():
        raise InputError("It takes one line without control characters." if is_whole(text) else _LOST)
    return _lines(text, most=most)


def _lines(text: str, *, most: int) -> str:
    if not is_whole(text):
        raise InputError(_LOST)
    if len(text) > most or not text.replace("\r", "").replace("\n", "").replace("\t", "").isprintable():
        raise InputError(f"It takes at most {most:,} characters, and no control characters.")
    return text
