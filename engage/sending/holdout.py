"""The holdout: the share of a campaign's customers who get no text, so that the others can be compared with them."""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa

from engage.window import Window

_HOLDOUT_PARTS = 1 << 24


def held_out(window: Window, customer_id: sa.ColumnElement[int], percent: Decimal) -> sa.ColumnElement[bool]:
    """Whether a customer is in the campaign's holdout: always the same answer, but drawn anew for each campaign.

    The draw is a number: the first three bytes of the SHA-256 of ``window_start/customer_id``, such as
    ``2026-09-14/17``.
    """
    seed = sa.func.concat(f"{window.start:%Y-%m-%d}/", customer_id)
    digest = sa.func.sha256(sa.func.convert_to(seed, "UTF8"))
    byte = [sa.func.get_byte(digest, n, type_=sa.Integer) for n in range(3)]
    number = (byte[0] * 256 + byte[1]) * 256 + byte[2]
    return number < int(percent * _HOLDOUT_PARTS / 100)
