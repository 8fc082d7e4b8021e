"""Values of Python's as a table that a statement can join."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON


def table(rows: Iterable[dict[str, Any]], *columns: sa.ColumnClause[Any]) -> sa.FromClause:
    """The ``columns`` of ``rows``, null where a row has none; JSON, as it is quicker to write and read than arrays."""
    values = sa.func.json_to_recordset(sa.cast(list(rows), JSON))
    return values.table_valued(*columns).render_derived(name="told", with_types=True)
