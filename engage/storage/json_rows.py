"""Python values as a table that a statement can join."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON


def table(rows: Iterable[dict[str, Any]], *columns: sa.ColumnClause[Any]) -> sa.FromClause:
    """The ``columns`` of ``rows``; a missing value is null. JSON is quicker to write and read here than arrays."""
    values = sa.func.json_to_recordset(sa.cast(list(rows), JSON))
    return values.table_valued(*columns).render_derived(name="given", with_types=True)
