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
COLUMNS = ("customer_id", "segment", "status", "reason", "fact", "error", "error_code", "sms_segments", "provider",
           "provider_message_id", "queued_at", "sending_at", "unknown_at", "accepted_at", "sent_at", "settled_at",
           "settled_by", "settled_why", "phone")  # fmt: skip
_NAMED = {"segment": message.c.bucket, "sms_segments": message.c.segments, "phone": customer.c.phone}


def batches(engine: sa.Engine, window: Window, filters: Filters, *, phones: bool) -> Iterator[list[tuple[Any, ...]]]:
    """The values of ``COLUMNS`` for each matching message, by customer id. Phones are masked without ``phones``."""
    columns = [_NAMED[name] if name in _NAMED else message.c[name] for name in COLUMNS]
    query = (
        sa.select(*columns)
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .where(message.c.window_start == window.start, *filters.conditions())
        .order_by(message.c.customer_id)
        .limit(BATCH)
    )
    after: int | None = None
    while True:
        part = query if after is None else query.where(message.c.customer_id > after)
        with engine.begin() as conn:
            rows = [tuple(row) for row in conn.execute(part)]
        if rows:
            yield rows if phones else [(*row[:-1], masked(row[-1])) for row in rows]
        if len(rows) < BATCH:
            return
        after = rows[-1][0]
