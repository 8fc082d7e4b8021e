"""A campaign's counts as a CSV file, for a spreadsheet."""

from __future__ import annotations

import csv
import io

import sqlalchemy as sa

from engage.reports import report
from engage.window import Window


def counts_csv(engine: sa.Engine, window: Window) -> str:
    """The text of the file: customers by bucket, messages by status, skipped messages by reason, and segments.

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
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("window_start", "what", "name", "count"))
    writer.writerows([safe_cell(cell) for cell in (found.window["start"][:10], *row)] for row in rows)
    return text.getvalue()


def safe_cell(value: object) -> object:
    """The cell, with a quote before text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
