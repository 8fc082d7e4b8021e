"""The words of the page *Import*: a file's form, the summary of a report, and its notes."""

from __future__ import annotations

import re

from engage import formats
from engage.imports.report import FileForm, Report

_ON_THE_PAGE = (
    (r'Say which one it is with --map "[^"]*"', "Say under “Columns” which one it is"),
    (r'Name one (\w+), or say which one it is with --map "[^"]*"', r"Say under “Columns” which one is read as \1"),
    (r'add --map "[^"]*"', "choose “not read” under “Columns”"),
    (r"Say with --decimal point or --decimal comma", "Say under “Decimal mark”"),
    (r"Name it with --decimal point or --decimal comma", "Choose it under “Decimal mark”"),
    (r"Use --decimal", "Choose the “Decimal mark”"),
    (r"name it with --type \w+", "choose it under “Type of events”"),
    (r"--map names two columns for the field (\w+)", r"Two columns are read as \1"),
    (r"--map (['\"].+?['\"]) (is|names)", r"The choice \1 \2"),
    (r"--type is", "The type of events is"),
    (r"or name the country", "or choose the “Country of phones without +”"),
)
"""What a sentence says about the command's options, and what the page has instead."""


def on_the_page(sentence: str) -> str:
    """A sentence that names options of ``engage import``, with the page's fields instead."""
    for pattern, words in _ON_THE_PAGE:
        sentence = re.sub(pattern, words, sentence)
    return sentence


def form(found: FileForm) -> str:
    """The form of a file, such as: CSV, delimiter semicolon, Windows-1252, gzip."""
    delimiter = f"delimiter {found.delimiter}" if found.delimiter else None
    mark = f"decimal {found.decimal}" if found.decimal else None
    return ", ".join(filter(None, (found.format, delimiter, found.encoding, found.compression, mark)))


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
        done = f"{formats.counted(loads, noun)} {_be(loads)} in."
        mend = f" {rejected} {_be(report.rejected)} not: mend the CSV of rejected rows, and load that."
        return done + mend if report.rejected else done
    if report.rejected:
        return f"Nothing is changed yet. {rejected} of {formats.number(report.read)} cannot be imported."
    return "Nothing is changed yet. Every row is right." if loads else "Every row is in already: nothing would change."


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


_KINDS = {"sessions": "session", "purchases": "purchase", "refunds": "refund", "app_events": "other event"}
_REMARKS = {
    "without_phone": ("customer", "No phone, and so no text: {}."),
    "without_consent": ("customer", "No consent, and so no text: {}. A consent needs its time and its source."),
    "consent_incomplete": ("row", "Only the time or only the source of a consent, so that none is recorded: {}."),
    "consent_withdrawn": ("row", "A consent that was withdrawn later, and so does not come back: {}."),
    "repeated_events": ("event", "Left out, as the id is in already or an earlier row has it: {}."),
    "shared_phones": ("phone", "Shared by several customers of the file: {}. A campaign texts each phone once."),
}


def remarks(report: Report) -> list[str]:
    """The notes of a report in sentences."""
    kinds = [formats.counted(report.notes[kind], noun) for kind, noun in _KINDS.items() if report.notes.get(kind)]
    found = [f"The rows that are right: {', '.join(kinds)}."] if kinds else []
    for code, (noun, words) in _REMARKS.items():
        if count := report.notes.get(code):
            found.append(words.format(formats.counted(count, noun)))
    return found
