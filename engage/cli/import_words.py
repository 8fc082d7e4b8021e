"""The report of an import in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engage.imports.report import Report

_MOST_IGNORED = 20
_NOTES = {
    "without_phone": "{:,} have no phone, so they are not texted.",
    "without_consent": "{:,} have no consent, so they are not texted. Consent needs a source and a time.",
    "consent_incomplete": "{:,} rows have a source or a time of consent, but not both. Their consent does not count.",
    "consent_withdrawn": "{:,} rows have a consent that was withdrawn later. It does not come back.",
    "repeated_events": "{:,} events have an id that is in already, or that an earlier row has. They are left out.",
    "shared_phones": "{:,} phones belong to several customers of the file. A campaign texts each phone once.",
}
_KINDS = {"sessions": "sessions", "purchases": "purchases", "refunds": "refunds", "app_events": "other events"}


def sentences(report: Report, rejected: Path | None) -> Iterator[str]:
    """What a report says, one line for each fact."""
    yield from _form(report)
    yield _counts(report)
    kinds = [f"{report.notes[name]:,} {words}" for name, words in _KINDS.items() if report.notes.get(name)]
    if kinds:
        yield f"Right rows: {', '.join(kinds)}."
    for name, words in _NOTES.items():
        if count := report.notes.get(name):
            yield words.format(count)
    yield from _rejected(report, rejected)
    yield _end(report)


def _form(report: Report) -> Iterator[str]:
    form = report.file
    parts = [form.format, form.encoding, form.compression, form.delimiter and f"delimiter {form.delimiter}"]
    parts.append(form.decimal and f"decimal {form.decimal}")
    yield f"File: {', '.join(part for part in parts if part)}."
    used = (f"{field}" if column == field else f"{column} → {field}" for field, column in form.used.items())
    yield f"Columns read: {', '.join(used)}."
    if form.ignored:
        names = [
            f'{column.name} (--map "{column.name}={column.suggestion}"?)' if column.suggestion else column.name
            for column in form.ignored[:_MOST_IGNORED]
        ]
        more = len(form.ignored) - len(names)
        yield f"Columns not read: {', '.join(names)}{f' and {more} more' if more else ''}."


def _counts(report: Report) -> str:
    counts = {"added": report.added, "changed": report.changed, "unchanged": report.unchanged}
    if report.kind == "events":
        del counts["changed"]
    shown = ", ".join(f"{count:,} {word}" for word, count in (counts | {"rejected": report.rejected}).items())
    return f"Rows read: {report.read:,} = {shown}."


def _rejected(report: Report, rejected: Path | None) -> Iterator[str]:
    if not report.rejected:
        return
    yield f"Rejected: {', '.join(f'{count:,} {reason}' for reason, count in report.reasons.items())}."
    for row, reason in report.first_rejected:
        yield f"  row {row:,}: {reason}"
    if report.rejected > len(report.first_rejected):
        yield f"  … and {report.rejected - len(report.first_rejected):,} more."
    if rejected:
        yield f"The rejected rows are in {rejected}. Mend them there, and import that file."


def _end(report: Report) -> str:
    if report.loaded_before:
        return f"This file was loaded on {report.loaded_before:%Y-%m-%d at %H:%M} UTC. Nothing was changed."
    if report.applied:
        return "The import is done."
    return "This was a dry run: nothing was changed. Add --apply to import the rows that are right."
