"""What a check has found or an import has done, as the page *Import* shows it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import PurePath
from typing import IO

from engage.errors import InputError
from engage.imports.columns import REJECTED_REASON, REJECTED_ROW, plain, resolve
from engage.imports.customer_rows import lists_opt_outs
from engage.imports.report import Report
from engage.pages import import_words
from engage.pages.import_fields import FIELDS
from engage.pages.import_head import Head, shortened
from engage.pages.import_options import Wanted
from engage.pages.render import html

SHOWN = 20
"""Rejected rows on the page."""
SHOWN_VALUES = 40
"""Values of a rejected row on the page."""
_OWN_COLUMNS = 2
"""The columns of the file of rejected rows before those of the original."""


@dataclass(frozen=True)
class Column:
    """A column of the file: the field that it is read as, or a field that it may be meant for."""

    name: str
    example: str
    field: str | None
    suggestion: str | None
    choosable: bool
    undecided: bool
    """Whether the user has to say that the column is not to be read."""


@dataclass(frozen=True)
class RejectedRow:
    """A rejected row, its reason, and its values by column."""

    row: str
    reason: str
    values: Sequence[tuple[str, str]]


def of_columns(head: Head, wanted: Wanted) -> list[Column]:
    """The columns of a file in order, without those that an earlier import has added. A clear name may be chosen."""
    used, suggestions = _found(head, wanted)
    fields = {name: field for field, name in used.items()}
    undecided = {name for name in suggestions if wanted.kind == "customers" and lists_opt_outs(name)}
    undecided -= wanted.columns.keys()
    return [
        Column(
            name,
            example,
            fields.get(name),
            suggestions.get(name),
            choosable=bool(name) and head.columns.count(name) == 1,
            undecided=name in undecided,
        )
        for name, example in zip(head.columns, head.examples, strict=True)
        if plain(name) not in (REJECTED_ROW, REJECTED_REASON)
    ]


def _found(head: Head, wanted: Wanted) -> tuple[Mapping[str, str], Mapping[str, str | None]]:
    """The column of each field, and the field that a column may be meant for."""
    try:
        found = resolve(head.columns, FIELDS[wanted.kind], wanted.options().mapping)
    except InputError:
        return {field: name for name, field in wanted.columns.items() if field}, {}
    return found.names, {one.name: one.suggestion for one in found.ignored}


def of_report(report: Report, wanted: Wanted, head: Head, rejected: IO[bytes]) -> str:
    """The HTML of a report. ``rejected`` is the CSV of the rejected rows."""
    return html(
        "import_report.html",
        report=report,
        name=wanted.file,
        form=import_words.form(report.file),
        summary=import_words.summary(report),
        tone=_tone(report),
        remarks=import_words.remarks(report),
        loads=report.added + report.changed,
        columns=of_columns(head, wanted),
        fields=FIELDS[wanted.kind],
        rows=first_rejected(rejected),
        rejected_file=f"{PurePath(wanted.file).name.partition('.')[0] or 'file'}.rejected.csv",
    )


def of_error(sentence: str, wanted: Wanted, head: Head) -> str:
    """The HTML for a file that cannot be imported before the user says something else about it."""
    return html(
        "import_columns.html",
        name=wanted.file,
        sentence=import_words.on_the_page(sentence),
        columns=of_columns(head, wanted),
        fields=FIELDS[wanted.kind],
    )


def first_rejected(rejected: IO[bytes]) -> list[RejectedRow]:
    """The first rows of a CSV of rejected rows, which stands at its beginning afterwards."""
    found: list[RejectedRow] = []
    text = io.TextIOWrapper(rejected, "utf-8", newline="")
    with suppress(csv.Error):  # a value is longer than the module csv reads
        rows = csv.reader(text)
        names = next(rows, [])[_OWN_COLUMNS:]
        found.extend(_row(names, cells) for cells in islice(rows, SHOWN))
    text.detach()
    rejected.seek(0)
    return found


def _row(names: Sequence[str], cells: Sequence[str]) -> RejectedRow:
    row, reason, *original = cells
    named = zip_longest(names[: len(original)], original, fillvalue="")
    values = [(shortened(name), shortened(value)) for name, value in islice(named, SHOWN_VALUES)]
    return RejectedRow(row, import_words.on_the_page(reason), values)


def _tone(report: Report) -> str:
    if report.rejected:
        return "warning"
    return "success" if report.applied else "info"
