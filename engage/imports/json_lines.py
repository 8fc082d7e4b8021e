"""JSON Lines: one object a line. Numbers keep the digits that stand in the file."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from engage.errors import InputError
from engage.imports.columns import plain
from engage.imports.encoding import Text
from engage.imports.lines import lines_of, some
from engage.imports.rows import Fault, Record
from engage.imports.values import as_text

_HEAD = 1_000
"""Lines whose keys are the columns. Of very long lines, fewer are: those of one chunk."""


@dataclass(frozen=True)
class JsonChunk:
    """Some lines. Row numbers are line numbers."""

    lines: tuple[str, ...]
    first_row: int
    columns: tuple[str, ...]
    known: Container[str]
    """Names that count, as ``columns.plain`` spells them. A key outside the columns that is one refuses its row."""

    def records(self) -> Iterator[Record]:
        """The rows in order, without blank lines."""
        for row, line in enumerate(self.lines, self.first_row):
            if line.strip():
                yield row, self._values(line)

    def _values(self, line: str) -> list[str] | Fault:
        found = _object(line)
        if isinstance(found, Fault):
            return found
        late = [key for key in found if key not in self.columns]
        if late and any(plain(key) in self.known for key in late):
            sentence = f"The field {late[0][:40]!r} is in none of the first lines. Add it to the first one, if as null."
            return Fault("late_field", sentence, (line.strip(),))
        if any(isinstance(value, list | dict) and plain(key) in self.known for key, value in found.items()):
            return Fault("nested_value", "A field holds a list or an object, and takes one value.", (line.strip(),))
        return [as_text(found.get(column)) for column in self.columns]


class JsonLines:
    """A file of JSON objects, read once.

    Raises:
        InputError: no line holds an object.
    """

    format = "JSON Lines"
    nested: Mapping[str, str] = {}
    delimiter: str | None = None

    def __init__(self, text: Text, known: Container[str] = ()) -> None:
        self._text = text
        self._known = known
        lines = lines_of(text)
        head = some(islice(lines, _HEAD))
        self._lines = chain(head, lines)
        keys: dict[str, None] = {}
        for line in head:
            found = _object(line)
            keys |= {} if isinstance(found, Fault) else dict.fromkeys(found)
        if not keys:
            raise InputError("No line of the file is a JSON object. JSON Lines have one object on each line.")
        self.columns = list(keys)

    @property
    def encoding(self) -> str | None:
        """The name of the encoding, as far as the file was read."""
        return self._text.encoding

    def chunks(self) -> Iterator[JsonChunk]:
        """All rows."""
        row = 1
        while lines := some(self._lines):
            yield JsonChunk(tuple(lines), row, tuple(self.columns), self._known)
            row += len(lines)


def _object(line: str) -> dict[str, Any] | Fault:
    try:
        found = json.loads(line, parse_int=str, parse_float=str, object_pairs_hook=_without_twins)
    except RecursionError:
        return Fault("invalid_json", "The line is nested too deeply.", (line.strip(),))
    except InputError as exc:
        return Fault("invalid_json", str(exc), (line.strip(),))
    except ValueError as exc:
        return Fault("invalid_json", f"The line is no JSON: {getattr(exc, 'msg', 'odd value')}.", (line.strip(),))
    if isinstance(found, dict):
        return found
    return Fault("invalid_json", "The line is no JSON object, such as {…}.", (line.strip(),))


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InputError("A key stands twice in the object.")
    return found
