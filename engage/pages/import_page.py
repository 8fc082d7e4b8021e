"""The page *Import*: the form for a file of customers or events, and what a check has found or an import has done."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, BinaryIO, cast

import phonenumbers
import sqlalchemy as sa

from engage.currency import currency
from engage.errors import InputError
from engage.imports import customers, events, unpacked
from engage.imports.event_rows import TYPES
from engage.imports.rejected import RejectedRows
from engage.imports.report import Job, Report
from engage.pages import import_head, import_report
from engage.pages.import_fields import FIELD_WORDS
from engage.pages.import_options import Wanted
from engage.pages.render import html
from engage.pages.viewer import Viewer

MOST_MEGABYTES = 100
MOST_BYTES = MOST_MEGABYTES * 1_000_000
"""The largest file that the page takes."""
TOO_LARGE = f"The file has more than {MOST_MEGABYTES} MB. Load it with engage import, or in parts."
MOST_ROWS = 5_000_000
"""The most rows, as a small compressed file may have any number."""
MOST_UNPACKED = 1_000_000_000
"""The most bytes of a compressed file once it is unpacked. The server may keep all of them as rejected rows."""
COUNTS = ("read", "added", "changed", "unchanged", "rejected")


@dataclass(frozen=True)
class Files:
    """The file of a user, and where the CSV of its rejected rows goes; both are open, at their beginning."""

    given: IO[bytes]
    rejected: IO[bytes]


@dataclass(frozen=True)
class Outcome:
    """The HTML of a report, and its counts. There are none if the file's columns are not clear."""

    html: str
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
    engine: sa.Engine,
    files: Files,
    wanted: Wanted,
    *,
    apply: bool,
    hash_key: bytes,
    as_of: datetime,
    actor: str | None = None,
) -> Outcome:
    """Check a file, or import it with ``apply``. The ``actor`` is the user, for the consent record.

    A check whose columns are not clear comes to a list of the columns, for the user to say what they are.

    Raises:
        InputError: the file cannot be read, or cannot be imported as the user wants it.
    """
    _refuse_huge(files.given)
    head = import_head.read(files.given)
    text = io.TextIOWrapper(files.rejected, "utf-8", newline="")
    job = Job(wanted.options(), as_of, RejectedRows(text), _refuse_many, actor)
    try:
        report = _run(engine, files.given, wanted, job, apply=apply, hash_key=hash_key)
    except InputError as exc:
        if apply:
            raise
        return Outcome(import_report.of_error(str(exc), wanted, head), {})
    finally:
        text.detach()
        files.rejected.seek(0)
    page = import_report.of_report(report, wanted, head, files.rejected)
    return Outcome(page, {name: getattr(report, name) for name in COUNTS})


def _refuse_huge(file: IO[bytes]) -> None:
    if unpacked.size(cast(BinaryIO, file), most=MOST_UNPACKED) > MOST_UNPACKED:
        raise InputError(
            f"The file has more than {MOST_UNPACKED:,} bytes once it is unpacked. Load it with engage import, or in "
            "parts."
        )


def _refuse_many(rows: int) -> None:
    if rows > MOST_ROWS:
        raise InputError(f"The file has more than {MOST_ROWS:,} rows. Load it with engage import, or in parts.")


def _run(engine: sa.Engine, file: IO[bytes], wanted: Wanted, job: Job, *, apply: bool, hash_key: bytes) -> Report:
    stream = cast(BinaryIO, file)
    if wanted.kind == "customers":
        return (customers.apply if apply else customers.check)(engine, stream, job, hash_key=hash_key)
    return (events.apply if apply else events.check)(engine, stream, job, currency=currency())
