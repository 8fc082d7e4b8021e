"""Updates many messages of the ledger in one statement, each with values of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.storage import json_rows
from engage.storage.schema import message

_COLUMNS = ("customer_id", "status", "body", "segments", "provider_message_id", "error", "error_code", "fact")


def values(rows: Iterable[dict[str, Any]]) -> sa.FromClause:
    """What to write about messages, as a table with the ledger's columns; null where a row has none."""
    return json_rows.table(rows, *(sa.column(name, message.c[name].type) for name in _COLUMNS))


def id_array(customer_ids: Sequence[int]) -> sa.ColumnElement[list[int]]:
    """Customer ids as one bound parameter."""
    return sa.literal(list(customer_ids), ARRAY(sa.BigInteger))


def matches(rows: sa.FromClause, customer_ids: Sequence[int]) -> tuple[sa.ColumnElement[bool], ...]:
    """The condition that joins each message to its row of ``values``.

    It names the ids a second time. Without that the planner reads the whole table.
    """
    return message.c.customer_id == rows.c.customer_id, message.c.customer_id == sa.any_(id_array(customer_ids))
