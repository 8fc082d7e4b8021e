"""CSV files for a spreadsheet: a campaign's counts, and its messages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from engage import formats
from engage.campaigns import campaign
from engage.errors import NotReady
from engage.reports import message_export, report
from engage.reports.message_list import Filters
from engage.window import Window


def counts_csv(engine: sa.Engine, window: Window) -> str:
    """The text of the file: customers by bucket, messages by status, skipped messages by reason, segments, and cost.

    A threshold that is a share of the customers, such as ``lowest 20%``, has a row with its number.

    Raises:
        NotReady: the window has no campaign.
    """
    with engine.begin() as conn:
        found = report.of(conn, window)
    skipped = found.messages["skipped_by_reason"]
    rows: list[tuple[str, str, object]] = [
        *(("bucket", name, count) for name, count in found.buckets.items()),
        *(("message", status, count) for status, count in sorted(found.messages["by_status"].items())),
        *(("skipped", reason, count) for reason, count in sorted(skipped.items())),
        ("segments", "all", found.messages["segments"]),
        *(("share", f"{name}, {one['written']}", one["number"]) for name, one in found.resolved.items()),
        *([("cost", found.currency, found.cost)] if found.cost is not None else []),
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("window_start", "what", "name", "count"))
    writer.writerows([safe_cell(cell) for cell in (found.window["start"][:10], *row)] for row in rows)
    return text.getvalue()


def safe_cell(value: object) -> object:
    """The cell, with a quote before text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value


def messages_csv(engine: sa.Engine, window: Window, filters: Filters, *, phones: bool = False) -> Iterator[str]:
    """The text of the file with the messages of a window, a part at a time. Times are ISO 8601 in UTC.

    Raises:
        NotReady: the window has no campaign; before the first part.
    """
    with engine.connect() as conn:
        if campaign.find(conn, window) is None:
            raise NotReady(f"There is no campaign for the window {window}, and so there is no message.")
    return _parts(engine, window, filters, phones=phones)


def _parts(engine: sa.Engine, window: Window, filters: Filters, *, phones: bool) -> Iterator[str]:
    yield _lines([("window_start", *message_export.COLUMNS)])
    start = formats.iso_day(window.start)
    for rows in message_export.batches(engine, window, filters, phones=phones):
        yield _lines([(start, *map(_cell, row)) for row in rows])


def _cell(value: object) -> object:
    return formats.iso(value) if isinstance(value, datetime) else safe_cell(value)


def _lines(rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
