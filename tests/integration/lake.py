"""A chain's own lake: Parquet files in folders like the archive's, with other names of columns and no manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from engage.archive.columns import schema_of
from engage.storage import partitions
from engage.storage.schema import LOG_TIMES, app_session, purchase
from engage.window import Window

SESSION, PURCHASE = app_session, purchase
COLUMNS = {
    "app_session": {"customer_id": "client", "started_at": "opened at"},
    "purchase": {"customer_id": "client", "amount_cents": "Total"},
}


def write(
    engine: sa.Engine, window: Window, folder: Path, *, logs: tuple[str, ...] = ("app_session", "purchase")
) -> None:
    """Write logs of a window, each in two files."""
    with engine.connect() as conn:
        for table in LOG_TIMES:
            if table.name in logs:
                rows = [dict(row) for row in conn.execute(sa.select(partitions.of(table, window))).mappings()]
                put(folder, table, window, rows[::2], "a.parquet")
                put(folder, table, window, rows[1::2], "b.parquet")


def put(folder: Path, table: sa.Table, window: Window, rows: list[dict[str, Any]], name: str) -> Path:
    """Write one file of a log."""
    there = folder / table.name / f"window={window.key}"
    there.mkdir(parents=True, exist_ok=True)
    found = pa.Table.from_pylist(rows, schema=schema_of(table))
    names = COLUMNS.get(table.name, {})
    pq.write_table(found.rename_columns([names.get(one, one) for one in found.column_names]), there / name)
    return there / name
