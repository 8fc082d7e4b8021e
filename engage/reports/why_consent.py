"""The consent that held for a customer at a time, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa


def sentences(conn: sa.Connection, customer_id: int, phone_hash: bytes | None, at: datetime) -> Iterator[str]:
    """What held at ``at``, and why."""
    yield from ()
