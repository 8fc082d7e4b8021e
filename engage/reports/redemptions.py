"""How many of a campaign's offer codes were given to messages, and how many of those were redeemed."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engage.storage.schema import offer_code
from engage.window import Window


@dataclass(frozen=True)
class Redemptions:
    """The codes of one segment and text. ``given`` counts messages that were skipped later, too."""

    segment: str
    variant: str
    given: int
    redeemed: int


def of(conn: sa.Connection, window: Window) -> list[Redemptions]:
    """The window's codes by segment and variant, in their order; empty if no text named a code."""
    query = (
        sa.select(offer_code.c.segment, offer_code.c.variant, sa.func.count(), sa.func.count(offer_code.c.redeemed_at))
        .where(offer_code.c.window_start == window.start)
        .group_by(offer_code.c.segment, offer_code.c.variant)
        .order_by(offer_code.c.segment, offer_code.c.variant)
    )
    return [Redemptions(*row) for row in conn.execute(query)]
