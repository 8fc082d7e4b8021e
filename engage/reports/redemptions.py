"""How many offer codes of a campaign were given, and how many were redeemed, by segment and text."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engage.storage.schema import offer_code
from engage.window import Window


@dataclass(frozen=True)
class Redemptions:
    """The codes in one text's messages."""

    segment: str
    variant: str
    given: int
    redeemed: int


def of(conn: sa.Connection, window: Window) -> list[Redemptions]:
    """The codes of a campaign, by segment and text. Empty if no message had one."""
    key = offer_code.c.segment, sa.func.coalesce(offer_code.c.variant, "a")
    query = (
        sa.select(*key, sa.func.count(), sa.func.count(offer_code.c.redeemed_at))
        .where(offer_code.c.window_start == window.start)
        .group_by(*key)
        .order_by(*key)
    )
    return [Redemptions(*row) for row in conn.execute(query)]
