"""The messages of a window for a file: all that match, in batches, so that memory stays small for a million of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from engage.reports.message_list import Filters
from engage.storage.schema import customer, message
from engage.texts.phone import masked
from engage.window import Window

BATCH = 5000
"""Messages that are read at a time, each time in a transaction of its own."""
COLUMNS = ("customer_id", "segment", "arm", "variant", "status", "reason", "fact", "error", "error_code",
           "sms_segments", "provider", "provider_message_id", "queued_at", "sending_at", "unknown_at", "accepted_at",
           "sent_at", "settled_at", "settled_by", "settled_why", "phone")  # fmt: skip
_NAMED = {"segment": "bucket", "sms_segments": "segments"}


def batches(engine: sa.Engine, window: Window, filters: Filters, *, phones: bool) -> Iterator[list[tuple[Any, ...]]]:
    """The values of ``COLUMNS`` for each matching message, by customer id. Phones are masked without ``phones``."""
    after: int | None = None
    while True:
        with engine.begin() as conn:
            rows = [tuple(row) for row in conn.execute(_batch(window, filters, after))]
        if rows:
            yield rows if phones else [(*row[:-1], masked(row[-1])) for row in rows]
        if len(rows) < BATCH:
            return
        after = rows[-1][0]


def _batch(window: Window, filters: Filters, after: int | None) -> sa.Select[Any]:
    query = sa.select(message).where(message.c.window_start == window.start, *filters.conditions())
    if after is not None:
        query = query.where(message.c.customer_id > after)
    # joined before the limit, the customers would be read from the first one on
    theirs = query.order_by(message.c.customer_id).limit(BATCH).subquery("theirs")
    columns = [theirs.c[_NAMED.get(name, name)] for name in COLUMNS if name != "phone"]
    same = customer.c.customer_id == theirs.c.customer_id
    return sa.select(*columns, customer.c.phone).join(customer, same, isouter=True).order_by(theirs.c.customer_id)
