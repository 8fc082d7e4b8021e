"""What a check has found or an import has done, as the page *Import* shows it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import IO

from engage import formats
from engage.imports import customer_rows, event_rows
from engage.imports.report import Report
from engage.pages import import_words
from engage.pages.import_head import Head
from engage.pages.render import html

SHOWN = 20
"""Rejected rows on the page."""
_OWN_COLUMNS = 2
"""The columns of the file of rejected rows before those of the original."""
FIELDS = {"customers": tuple(customer_rows.FIELDS), "events": tuple(event_rows.FIELDS)}
"""All fields of a kind of file."""


@dataclass(frozen=True)
class Column:
    """A column of the file: the field that it is read as, or a field that it may be meant for."""

    name: str
    example: str
    field: str | None
    suggestion: str | None


@dataclass(frozen=True)
class RejectedRow:
    """A rejected row, its reason, and its values by column."""

    row: str
    reason: str
    values: Sequence[tuple[str, str]]


def of_columns(head: Head, used: Mapping[str, str], ignored: Mapping[str, str | None]) -> list[Column]:
    """The columns of a file in order. ``used`` has the column of each field, and ``ignored`` suggestions."""
    fields = {name: field for field, name in used.items()}
    return [
        Column(name, example, fields.get(name), ignored.get(name))
        for name, example in zip(head.columns, head.examples, strict=True)
    ]


def of_report(report: Report, name: str, head: Head, rejected: IO[bytes]) -> str:
    """The HTML of a report about the file ``name``, whose rejected rows are the CSV in ``rejected``."""
    form = report.file
    ignored = {one.name: one.suggestion for one in form.ignored}
    return html(
        "import_report.html",
        report=report,
        name=name,
        form=import_words.form(form),
        summary=import_words.summary(report),
        tone=_tone(report),
        remarks=import_words.remarks(report),
        loads=report.added + report.changed,
        columns=of_columns(head, form.used, ignored),
        fields=FIELDS[report.kind],
        rows=first_rejected(rejected),
        rejected_file=f"{PurePath(name).name.partition('.')[0]}.rejected.csv",
    )


def of_error(sentence: str, kind: str, name: str, head: Head, mapping: Mapping[str, str]) -> str:
    """The HTML for a file whose columns the user has to name first. ``mapping`` has the fields that are chosen."""
    used = {field: column for column, field in mapping.items() if field}
    return html(
        "import_columns.html",
        name=name,
        sentence=import_words.on_the_page(sentence),
        columns=of_columns(head, used, {}),
        fields=FIELDS[kind],
    )


def first_rejected(rejected: IO[bytes]) -> list[RejectedRow]:
    """The first rows of a CSV of rejected rows, which stands at its beginning afterwards."""
    text = io.TextIOWrapper(rejected, "utf-8", newline="")
    try:
        rows = csv.reader(text)
        names = next(rows, [])[_OWN_COLUMNS:]
        found = [_row(names, values) for values in islice(rows, SHOWN)]
    finally:
        text.detach()
    rejected.seek(0)
    return found


def _row(names: Sequence[str], values: Sequence[str]) -> RejectedRow:
    row, reason, *original = values
    named = [*names, *[""] * (len(original) - len(names))]
    return RejectedRow(row, import_words.on_the_page(reason), list(zip(named, original, strict=False)))


def _tone(report: Report) -> str:
    if report.rejected:
        return "warning"
    return "success" if report.applied else "info"
