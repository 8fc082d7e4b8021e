"""The draw of an experiment: which customers are the campaign's holdout, and which text the others get.

The draw is by phone, so customers who share one are in the same arm. It is a hash, so it is always the same for one
campaign, and drawn anew for the next: the SHA-256 of ``window_start/phone_hash``, such as ``2026-09-14/5f2c…`` with the
hash in hex. Its first three bytes decide the arm, the next three the text.
"""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa

from engage.statuses import SkipReason
from engage.storage.schema import customer
from engage.window import Window

_PARTS = 1 << 24
DEFAULT_VARIANT = "a"
"""The name of a segment's only text."""


def holdout_reason(window: Window, percent: Decimal) -> sa.ColumnElement[str | None]:
    """The reason not to text a ``customer`` in the holdout, null for all others.

    A larger share keeps the customers of a smaller one.
    """
    if not percent:
        return sa.cast(sa.null(), sa.Text)
    chosen = _number(digest(window), 0) < int(percent * _PARTS / 100)
    return sa.case((chosen, sa.literal(SkipReason.HOLDOUT, sa.Text)), else_=sa.cast(sa.null(), sa.Text))


def digest(window: Window) -> sa.ColumnElement[bytes]:
    """The hash to draw a ``customer`` by. A customer without a phone is drawn by id."""
    identity = sa.func.coalesce(sa.func.encode(customer.c.phone_hash, "hex"), sa.cast(customer.c.customer_id, sa.Text))
    seed = sa.func.concat(f"{window.start:%Y-%m-%d}/", identity)
    return sa.func.sha256(sa.func.convert_to(seed, "UTF8"), type_=sa.LargeBinary)


def _number(drawn: sa.ColumnElement[bytes], first: int) -> sa.ColumnElement[int]:
    """Three bytes of the hash as a number from 0 to 2^24 - 1."""
    byte = [sa.func.get_byte(drawn, first + n, type_=sa.Integer) for n in range(3)]
    return (byte[0] * 256 + byte[1]) * 256 + byte[2]
