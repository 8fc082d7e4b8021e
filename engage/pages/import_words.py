"""The words of the page *Import*: a file's form, the summary of a report, and its notes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engage import formats
from engage.imports.report import FileForm, Report

_ON_THE_PAGE = (
    (r'Say which one it is with --map "[^"]*"', "Say under “Columns” which one it is"),
    (r'Name one (\w+), or say which one it is with --map "[^"]*"', r"Say under “Columns” which one is read as \1"),
    (r'add --map "[^"]*"', "choose “not read” under “Columns”"),
    (r"Say with --decimal point or --decimal comma", "Say under “Decimal mark”"),
    (r"Name it with --decimal point or --decimal comma", "Choose it under “Decimal mark”"),
    (r"Use --decimal", "Choose the “Decimal mark”"),
    (r"or name the country", "or choose the “Country of phones without +”"),
)
"""What a sentence says about the command's options, and what the page has instead."""


def on_the_page(sentence: str) -> str:
    """A sentence that names options of ``engage import``, with the page's fields instead."""
    for pattern, words in _ON_THE_PAGE:
        sentence = re.sub(pattern, words, sentence)
    return sentence


def form(found: FileForm) -> str:
    """The form of a file, such as: CSV with semicolons, Windows-1252, gzip."""
    first = f"{found.format} with {_plural(found.delimiter)}" if found.delimiter else found.format
    mark = f"decimal {found.decimal}" if found.decimal else None
    return ", ".join(filter(None, (first, found.encoding, found.compression, mark)))


def _plural(delimiter: str) -> str:
    return f"{delimiter}s"


def summary(report: Report) -> str:
    """What a check has found or an import has done, in a sentence or two."""
    loads, noun = report.added + report.changed, report.kind.removesuffix("s")
    rejected = formats.counted(report.rejected, "row")
    if report.loaded_before is not None:
        when = formats.moment(report.loaded_before)
        return f"This file was loaded before, on {when}. Its events count once, so there is nothing to import."
    if not report.read:
        return "The file has no rows below its columns."
    if report.applied:
        done = f"{formats.counted(loads, noun)} {'is' if loads == 1 else 'are'} in."
        mend = f" {rejected} {'is' if report.rejected == 1 else 'are'} not: mend and load the CSV of rejected rows."
        return done + (mend if report.rejected else "")
    if not report.rejected:
        return "Nothing is changed yet. Every row is right." if loads else "Every row is in already."
    return f"Nothing is changed yet. {rejected} of {formats.number(report.read)} cannot be imported as it is." if (
        report.rejected == 1
    ) else f"Nothing is changed yet. {rejected} of {formats.number(report.read)} cannot be imported as they are."


_REMARKS: Mapping[str, tuple[str, str]] = {
    "consent_incomplete": (
        "row has only one of the time and the source of a consent. It records no consent.",
        "rows have only one of the time and the source of a consent. They record no consent.",
    ),
    "shared_phones": (
        "phone belongs to several customers of the file. Only the one with the lowest id is texted.",
        "phones belong to several customers of the file each. Only the one with the lowest id is texted.",
    ),
    "without_phone": (
        "customer has no phone, and gets no text.",
        "customers have no phone, and get no text.",
    ),
    "without_consent": (
        "customer has no consent, and gets no text.",
        "customers have no consent, and get no text.",
    ),
}


def remarks(report: Report) -> list[str]:
    """The notes of a report in sentences."""
    return [
        f"{formats.number(count)} {_REMARKS[code][count != 1]}" if code in _REMARKS else f"{formats.number(count)} {code.replace('_', ' ')}"
        for code, count in report.notes.items()
        if count
    ]
