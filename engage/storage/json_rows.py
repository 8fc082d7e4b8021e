"""Python values as a table that a statement can join."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON


def table(rows: Iterable[dict[str, Any]] | sa.BindParameter[Any], *columns: sa.ColumnClause[Any]) -> sa.FromClause:
    """The ``columns`` of ``rows``; a missing value is null. JSON is quicker to write and read here than arrays.

    A statement that is made once has a parameter of type JSON in place of the rows.
    """
    given = rows if isinstance(rows, sa.BindParameter) else sa.cast(list(rows), JSON)
    values = sa.func.json_to_recordset(given)
    return values.table_valued(*columns).render_derived(name="given", with_types=True)
