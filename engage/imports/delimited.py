"""CSV: any delimiter, any line end, quoted line ends. It is cut into chunks of whole rows, which workers read.

A row with a misplaced quotation mark may swallow the lines after it. Each of these lines is then a faulty row of its
own, so that none is lost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from engage.errors import InputError
from engage.imports.encoding import Text
from engage.imports.lines import MAX_ROW, lines_of, some, too_long
from engage.imports.rows import Fault, Record

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_PEEK = 50
_QUOTES = Fault("misplaced_quote", "A quotation mark is not closed, or stands within a value without being doubled.")


@dataclass(frozen=True)
class DelimitedChunk:
    """Whole rows as text. Row numbers count as a spreadsheet does: the header is row 1 if it stands first."""

    text: str
    first_row: int
    delimiter: str
    columns: int

    def records(self) -> Iterator[Record]:
        """The rows in order, without blank ones."""
        for row, values in self._rows():
            if isinstance(values, Fault):
                yield row, values
            elif "".join(values).strip():
                yield row, values if len(values) == self.columns else self._fitted(values)

    def _rows(self) -> Iterable[tuple[int, list[str] | Fault]]:
        lines = io.StringIO(self.text, newline="")
        if '"' in self.text:
            return _read(_Counted(lines), self.delimiter, self.first_row)
        found = list(lines)
        if max(map(len, found)) > MAX_ROW:
            return _read(_Counted(found), self.delimiter, self.first_row)
        return enumerate(_reader(found, self.delimiter), self.first_row)

    def _fitted(self, values: list[str]) -> list[str] | Fault:
        if len(values) > self.columns and not any(values[self.columns :]):
            return values[: self.columns]  # delimiters without values at the end
        sentence = f"The row has {len(values)} columns, and the header has {self.columns}."
        return Fault("wrong_columns", sentence, tuple(values))


class Delimited:
    """A CSV file, read once.

    Raises:
        InputError: there is no header, or a row is longer than ``MAX_ROW``.
    """

    format = "CSV"
    nested: Mapping[str, str] = {}

    def __init__(self, text: Text) -> None:
        self._text = text
        self._lines = lines_of(text)
        head = list(islice(self._lines, _PEEK))
        self._row = 0
        said = _said_delimiter(head)
        if said:
            head, self._row = head[1:], 1
        while head and not head[0].strip():
            head, self._row = head[1:], self._row + 1
        if not head:
            raise InputError("The file has no rows. Its first row names the columns.")
        self._delimiter = said or _sniff(head)
        self._lines = chain(head, self._lines)
        lines = _Counted(self._lines)
        _, names = next(_read(lines, self._delimiter, 1))
        if isinstance(names, Fault):
            raise InputError("The first row, which names the columns, has a quotation mark that is not closed.")
        self._row += lines.count
        while len(names) > 1 and not names[-1].strip():
            names.pop()
        self.columns = [name.strip() for name in names]

    @property
    def encoding(self) -> str | None:
        """The name of the encoding, as far as the file was read."""
        return self._text.encoding

    @property
    def delimiter(self) -> str | None:
        """The delimiter's name."""
        return _DELIMITERS.get(self._delimiter, repr(self._delimiter))

    def chunks(self) -> Iterator[DelimitedChunk]:
        """The rows below the header."""
        while lines := some(self._lines):
            text, rows = "".join(lines), len(lines)
            if '"' in text:
                text, rows = self._whole_rows(lines)
            yield DelimitedChunk(text, self._row + 1, self._delimiter, len(self.columns))
            self._row += rows

    def _whole_rows(self, lines: list[str]) -> tuple[str, int]:
        """The text of the lines, and of those after them that belong to the last row; and how many rows that is."""
        counted = _Counted(chain(lines, self._lines), keep=True)
        last = 0
        for row, _ in _read(counted, self._delimiter, self._row + 1):
            last = row
            if counted.count >= len(lines) and not counted.within:
                break
        return "".join(counted.kept), last - self._row


class _Counted:
    """Lines with their number. It refuses a row of too many characters; ``started`` begins a row."""

    def __init__(self, lines: Iterable[str], *, keep: bool = False) -> None:
        self._lines = iter(lines)
        self._keep = keep
        self.kept: list[str] = []
        self.count = 0
        self.row: list[str] = []
        self.number = 0
        self.within = False
        """Whether lines of a faulty row are still to come."""
        self._size = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        self._size += len(line)
        if self._size > MAX_ROW:
            raise too_long(self.number)
        self.row.append(line)
        if self._keep:
            self.kept.append(line)
        return line

    def start(self, row: int) -> None:
        """Begin a row."""
        self.row, self._size, self.number = [], 0, row


def _reader(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW))
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _read(lines: _Counted, delimiter: str, row: int) -> Iterator[tuple[int, list[str] | Fault]]:
    """Every row with its number, blank ones included."""
    reader = _reader(lines, delimiter)
    while True:
        lines.start(row)
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            swallowed = lines.row
            lines.within = True
            for place, line in enumerate(swallowed, 1):
                lines.within = place < len(swallowed)
                plain = tuple(line.rstrip("\r\n").split(delimiter))
                yield row, Fault(_QUOTES.code, _QUOTES.sentence, plain)
                row += 1
            continue
        yield row, values
        row += 1


def _said_delimiter(head: list[str]) -> str:
    """The delimiter of a first line such as ``sep=;``, which spreadsheets write."""
    line = head[0].strip("\r\n\ufeff").strip('"') if head else ""
    return line[4:] if len(line) == 5 and line.lower().startswith("sep=") else ""


def _sniff(head: list[str]) -> str:
    """The delimiter that splits the header most often, and as often as the rows below it."""

    def fit(delimiter: str) -> tuple[int, int]:
        widths = [len(values) for _, values in _read(_Counted(head), delimiter, 1) if isinstance(values, list)]
        header = widths[0] if widths else 1
        return sum(width == header for width in widths) if header > 1 else 0, header

    return max(_DELIMITERS, key=fit)
