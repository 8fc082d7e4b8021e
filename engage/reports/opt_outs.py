"""Opt-outs after a campaign: in the app, and by a text or a refusal that reached the provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import sqlalchemy as sa

from engage.statuses import SuppressionReason
from engage.storage.schema import customer, message, suppression
from engage.window import Window

_BY_TEXT = (SuppressionReason.STOP, SuppressionReason.REVOCATION, SuppressionReason.PROVIDER)


def of_texted(conn: sa.Connection, window: Window) -> int:
    """Customers whom the window's campaign has texted, and who have opted out since then."""
    texted = sa.and_(message.c.window_start == window.start, message.c.accepted_at.is_not(None))
    in_app = (
        sa.select(message.c.customer_id)
        .join(customer, customer.c.customer_id == message.c.customer_id)
        .where(texted, customer.c.opted_out_at.is_not(None), customer.c.opted_out_at >= message.c.accepted_at)
    )
    by_text = (
        sa.select(message.c.customer_id)
        .join(suppression, suppression.c.phone_hash == message.c.phone_hash)
        .where(
            texted,
            message.c.reason.is_(None),
            suppression.c.reason.in_(_BY_TEXT),
            suppression.c.suppressed_at >= message.c.accepted_at,
        )
    )
    both = sa.union(in_app, by_text).subquery("both")
    return conn.execute(sa.select(sa.func.count()).select_from(both)).scalar_one()


def between(conn: sa.Connection, moments: Sequence[datetime]) -> list[int]:
    """All opt-outs from each moment up to the next one, in the order of time; the last one has no end."""
    if not moments:
        return []
    counts = [0] * len(moments)
    in_app = customer.c.opted_out_at
    by_text = suppression.c.suppressed_at
    kinds = (in_app, in_app.is_not(None)), (by_text, suppression.c.reason.in_(_BY_TEXT))
    for at, condition in kinds:
        within = [sa.and_(at >= start, at < end) for start, end in pairwise(moments)]
        spans = [sa.func.count().filter(one) for one in [*within, at >= moments[-1]]]
        found = conn.execute(sa.select(*spans).where(condition, at >= moments[0])).one()
        counts = [before + here for before, here in zip(counts, found, strict=True)]
    return counts
