"""The page *Import*: the form for a file of customers or events, and what a check has found or an import has done."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, BinaryIO, Literal, cast

import phonenumbers
import sqlalchemy as sa
from pydantic import BaseModel, Field

from engage.currency import currency
from engage.errors import InputError
from engage.imports import customers, events
from engage.imports.columns import NO_FIELD
from engage.imports.event_rows import TYPES
from engage.imports.rejected import RejectedRows
from engage.imports.report import Options, Report
from engage.imports.values import DecimalMark
from engage.pages import import_head, import_report
from engage.pages.import_fields import FIELD_WORDS, Kind
from engage.pages.render import html
from engage.pages.viewer import Viewer

MOST_MEGABYTES = 100
MOST_BYTES = MOST_MEGABYTES * 1_000_000
"""The largest file that the page takes."""
TOO_LARGE = f"The file has more than {MOST_MEGABYTES} MB. Load it with engage import, or in parts."
COUNTS = ("read", "added", "changed", "unchanged", "rejected")


class Wanted(BaseModel):
    """What the user has chosen on the page."""

    kind: Kind
    file: str = Field(max_length=255)
    """The file's name."""
    country: str = Field("", max_length=2)
    event_type: str = Field("", max_length=40)
    decimal: Literal["", "point", "comma"] = ""
    columns: dict[str, str] = {}
    """The field of each column that the user has set; empty for none."""

    def options(self) -> Options:
        """The same as options of an import. This process also serves pages, so it starts no others."""
        return Options(
            mapping=tuple(f"{name}={field or NO_FIELD}" for name, field in self.columns.items()),
            country=self.country or None,
            event_type=self.event_type or None,
            decimal=DecimalMark(self.decimal) if self.decimal else None,
            processes=1,
        )


@dataclass(frozen=True)
class Outcome:
    """The HTML of a report, its counts, and the open file with the CSV of the rejected rows."""

    html: str
    rejected: IO[bytes]
    counts: Mapping[str, int]


def import_page(viewer: Viewer) -> str:
    """The HTML of the form, and of what a file may hold."""
    return html(
        "import.html",
        viewer=viewer,
        most_bytes=MOST_BYTES,
        most_megabytes=MOST_MEGABYTES,
        countries=sorted(phonenumbers.SUPPORTED_REGIONS),
        types=[(kind, kind.replace("_", " ").capitalize()) for kind in TYPES],
        formats=FIELD_WORDS,
    )


def load(
    engine: sa.Engine, file: IO[bytes], wanted: Wanted, *, apply: bool, hash_key: bytes, as_of: datetime
) -> Outcome:
    """Check a file, or import it with ``apply``.

    A check whose columns are not clear comes to a list of the columns for the user to say.

    Raises:
        InputError: the file cannot be read.
    """
    head = import_head.read(file)
    rejected = cast(IO[bytes], tempfile.TemporaryFile())
    text = io.TextIOWrapper(rejected, "utf-8", newline="")
    try:
        report = _run(engine, file, wanted, RejectedRows(text), apply=apply, hash_key=hash_key, as_of=as_of)
    except InputError as exc:
        text.detach()
        if apply:
            raise
        page = import_report.of_error(str(exc), wanted.kind, wanted.file, head, wanted.columns)
        return Outcome(page, rejected, {})
    text.detach()
    rejected.seek(0)
    page = import_report.of_report(report, wanted.file, head, rejected)
    return Outcome(page, rejected, {name: getattr(report, name) for name in COUNTS})


def _run(
    engine: sa.Engine,
    file: IO[bytes],
    wanted: Wanted,
    rejected: RejectedRows,
    *,
    apply: bool,
    hash_key: bytes,
    as_of: datetime,
) -> Report:
    stream, options = cast(BinaryIO, file), wanted.options()
    if wanted.kind == "customers":
        run = customers.apply if apply else customers.check
        return run(engine, stream, options, hash_key=hash_key, as_of=as_of, rejected=rejected)
    add = events.apply if apply else events.check
    return add(engine, stream, options, currency=currency(), as_of=as_of, rejected=rejected)
