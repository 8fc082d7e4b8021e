"""Offer codes as texts: what a code looks like, codes that cannot be guessed, and files of codes."""

from __future__ import annotations

import csv
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from engage.errors import InputError

ALPHABET = "23456789ACDEFHJKMNPQRTVWXY"
"""The characters of made codes. Of characters that look alike, such as S and 5, or O and 0, it has one at most."""
LENGTH = 10
"""Characters of a made code. There are 26^10, or 141 million millions."""
SAMPLE = "K7M3XQ9TPA"
"""A code for previews."""
LEAST, MOST = 4, 40
RULE = f"a code has {LEAST} to {MOST} letters, digits or signs of ASCII, and no spaces"
OFFER_RULE = "an offer's name has 1 to 40 small letters, digits, - and _, and begins with a letter or digit"
HEADER = "code"
"""The column of a CSV file that holds the codes."""

_CODE = re.compile(rf"[!-~]{{{LEAST},{MOST}}}")
_OFFER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_DELIMITERS = re.compile(r"[,;\t]")
_SHOWN = 5
_TOO_HIGH = bytes(range(256 - 256 % len(ALPHABET), 256))
_FROM_BYTES = (ALPHABET * 10)[:256].encode()


@dataclass(frozen=True)
class CodeFile:
    """The codes of a file, each once, in the file's order."""

    codes: tuple[str, ...]
    repeated: int
    """Lines with a code that an earlier line has."""


def generated(count: int) -> set[str]:
    """So many different codes, from the operating system's source of randomness for secrets."""
    found: set[str] = set()
    while len(found) < count:
        # bytes above the last multiple of the alphabet's size would make some characters more frequent
        drawn = secrets.token_bytes((count - len(found)) * LENGTH * 2).translate(_FROM_BYTES, _TOO_HIGH).decode()
        whole = (drawn[first : first + LENGTH] for first in range(0, len(drawn) - LENGTH + 1, LENGTH))
        found.update(islice(whole, count - len(found)))
    return found


def offer(name: str) -> str:
    """The name of an offer.

    Raises:
        InputError: it breaks ``OFFER_RULE``.
    """
    if not _OFFER.fullmatch(name):
        raise InputError(f"{name[:40]!r} names no offer: {OFFER_RULE}, such as summer.")
    return name


def read(text: str, name: str) -> CodeFile:
    """The codes of a file: one a line, or the column ``code`` of a CSV file whose first line names it.

    Blank lines are left out, and so are spaces around a code. ``name`` is the file's name, for an error.

    Raises:
        InputError: names the lines that hold no code, or says that there is none, or no column of them.
    """
    found, wrong = [], []
    try:
        for line, value in _lines(text, name):
            if _CODE.fullmatch(value):
                found.append(value)
            else:
                wrong.append(f"line {line} has {value[:MOST]!r}")
    except csv.Error as exc:
        raise InputError(f"{name} cannot be read as CSV: {exc}. No code was added.") from None
    if wrong:
        more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(f"{name} holds what is no code: {', '.join(wrong[:_SHOWN])}{more}. No code was added: {RULE}.")
    if not found:
        raise InputError(f"{name} holds no code. It takes one a line, or CSV with a column {HEADER}.")
    codes = tuple(dict.fromkeys(found))
    return CodeFile(codes, len(found) - len(codes))


def _lines(text: str, name: str) -> Iterator[tuple[int, str]]:
    """Each line that is not blank: its number, and what it has for a code."""
    lines = text.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    header = [field.strip().strip('"').lower() for field in _DELIMITERS.split(lines[first])]
    if HEADER not in header:
        found = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip()]
        if _have_columns([line for _, line in found]):  # else customers would read a whole line
            raise InputError(
                f"{name} has columns, and its first line names none of them {HEADER}. No code was added: name the "
                "column with the codes so."
            )
        yield from found
        return
    column, delimiter = header.index(HEADER), (_DELIMITERS.findall(lines[first]) or [","])[0]
    rows = csv.reader(lines[first + 1 :], delimiter=delimiter, strict=True)
    for row in rows:
        if any(field.strip() for field in row):
            yield first + 1 + rows.line_num, row[column].strip() if len(row) > column else ""


def _have_columns(lines: Sequence[str]) -> bool:
    """Whether there are several lines, and all are divided alike."""
    columns = _DELIMITERS.findall(lines[0]) if len(lines) > 1 else []
    return bool(columns) and all(_DELIMITERS.findall(line) == columns for line in lines)
