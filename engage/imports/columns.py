"""Which column of a file is which field: by name, by synonyms, or as the operator says."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engage.errors import InputError
from engage.imports.rows import Source

REJECTED_ROW, REJECTED_REASON = "rejected_row", "rejected_reason"
"""The columns that a file of rejected rows has besides the original ones."""
NO_FIELD = "-"
"""What ``--map "Column=-"`` maps a column to that is not read."""


@dataclass(frozen=True)
class Ignored:
    """A column that is not read, and the field that it may be meant for."""

    name: str
    suggestion: str | None = None


@dataclass(frozen=True)
class Columns:
    """The places of the fields that a file has, the names of their columns, and the columns that are not read."""

    places: Mapping[str, int]
    names: Mapping[str, str]
    ignored: tuple[Ignored, ...]


def plain(name: str) -> str:
    """A column's name without what differs from one export to the next: capitals, blanks, signs."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", name).casefold()).strip("_")


def resolve(names: Sequence[str], fields: Mapping[str, Sequence[str]], given: Sequence[str] = ()) -> Columns:
    """Find the fields among the columns ``names``. ``fields`` has the synonyms of each, and ``given`` texts such as
    ``Mobile=phone``.

    Raises:
        InputError: a text of ``given`` names no column or field, or two columns are the same field.
    """
    chosen = _given(names, fields, given)
    for exact in (True, False):
        _find(names, fields, chosen, exact=exact)
    places = {field: place for place, field in sorted(chosen.items()) if field != NO_FIELD}
    known = {plain(name): field for field, synonyms in fields.items() for name in (field, *synonyms)}
    ignored = tuple(
        Ignored(name, None if place in chosen else _suggestion(name, known, places))
        for place, name in enumerate(names)
        if chosen.get(place, NO_FIELD) == NO_FIELD and plain(name) not in ("", REJECTED_ROW, REJECTED_REASON)
    )
    return Columns(places, {field: names[place] for field, place in places.items()}, ignored)


def of_source(source: Source, fields: Mapping[str, Sequence[str]], given: Sequence[str] = ()) -> Columns:
    """The columns of a file, as ``resolve`` finds them.

    Raises:
        InputError: as of ``resolve``, or a column with lists or objects may be a field.
    """
    found = resolve(source.columns, fields, given)
    wanted = {plain(name) for field, names in fields.items() if field not in found.places for name in (field, *names)}
    for name, kind in source.nested.items():
        if plain(name) in wanted:
            raise InputError(
                f"The column {name[:40]!r} holds {kind[:80]}, which is not one value a row. It takes texts, numbers, "
                "days or times. Rename the column if it is not meant."
            )
    return replace(found, ignored=(*found.ignored, *map(Ignored, source.nested)))


def require(columns: Columns, names: Sequence[str], field: str, what: str) -> None:
    """Refuse a file without a field.

    Raises:
        InputError: no column is the field.
    """
    if field not in columns.places:
        found = ", ".join(repr(name[:40]) for name in names[:30])
        raise InputError(
            f"No column is {what}. The columns are {found}. Name one {field}, or say which one it is with "
            f'--map "{names[0][:40]}={field}".'
        )


def _given(names: Sequence[str], fields: Mapping[str, Sequence[str]], given: Sequence[str]) -> dict[int, str]:
    chosen: dict[int, str] = {}
    for text in given:
        name, _, field = (part.strip() for part in text.rpartition("="))
        if not name or field not in {*fields, NO_FIELD}:
            allowed = ", ".join(fields)
            raise InputError(
                f"--map {text[:80]!r} is not COLUMN=FIELD, such as Mobile=phone. The fields are {allowed}; - is none."
            )
        places = [place for place, column in enumerate(names) if column == name]
        places = places or [place for place, column in enumerate(names) if plain(column) == plain(name)]
        if len(places) != 1:
            found = ", ".join(repr(column[:40]) for column in names[:30])
            wrong = "no column" if not places else "several columns"
            raise InputError(f"--map {text[:80]!r} names {wrong}. The columns are {found}.")
        if field != NO_FIELD and field in chosen.values():
            raise InputError(f"--map names two columns for the field {field}. It takes one.")
        chosen[places[0]] = field
    return chosen


def _find(names: Sequence[str], fields: Mapping[str, Sequence[str]], chosen: dict[int, str], *, exact: bool) -> None:
    """Add the fields that are not chosen yet: those with a column of their own name, or else of a synonym."""
    taken = set(chosen.values())
    for field, synonyms in fields.items():
        if field in taken:
            continue
        wanted = {field} if exact else {plain(name) for name in synonyms}
        places = [place for place, name in enumerate(names) if place not in chosen and plain(name) in wanted]
        if len(places) > 1:
            found = " and ".join(repr(names[place][:40]) for place in places[:5])
            raise InputError(
                f"The columns {found} may each be the field {field}. Say which one it is with "
                f'--map "{names[places[0]][:40]}={field}".'
            )
        if places:
            chosen[places[0]] = field


def _suggestion(name: str, known: Mapping[str, str], taken: Mapping[str, int]) -> str | None:
    free = [text for text, field in known.items() if field not in taken]
    close = difflib.get_close_matches(plain(name), free, 1, cutoff=0.75)
    return known[close[0]] if close else None
