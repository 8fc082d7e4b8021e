"""Opt-outs after a campaign: in the app, and by a text or a refusal that reached the provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import sqlalchemy as sa

from engage.statuses import SuppressionReason
from engage.storage.schema import customer, message, message_count, suppression
from engage.window import Window

_BY_TEXT = (SuppressionReason.STOP, SuppressionReason.REVOCATION, SuppressionReason.PROVIDER)


def of_texted(conn: sa.Connection, window: Window, begun: datetime) -> int:
    """Customers whom the window's campaign has texted, and who then opted out before another campaign began.

    ``begun``: when its first message went out. Earlier opt-outs need no look at their messages.
    """
    others = sa.and_(message_count.c.window_start != window.start, message_count.c.first_claim_at > begun)
    until = conn.execute(sa.select(sa.func.min(message_count.c.first_claim_at)).where(others)).scalar_one()
    texted = sa.and_(message.c.window_start == window.start, message.c.accepted_at.is_not(None))
    in_app, by_text = customer.c.opted_out_at, suppression.c.suppressed_at
    both = sa.union(
        sa.select(message.c.customer_id)
        .join(customer, customer.c.customer_id == message.c.customer_id)
        .where(texted, in_app.is_not(None), in_app >= message.c.accepted_at, _within(in_app, begun, until)),
        sa.select(message.c.customer_id)
        .join(suppression, suppression.c.phone_hash == message.c.phone_hash)
        .where(
            texted,
            message.c.reason.is_(None),
            suppression.c.reason.in_(_BY_TEXT),
            by_text >= message.c.accepted_at,
            _within(by_text, begun, until),
        ),
    ).subquery("both")
    return conn.execute(sa.select(sa.func.count()).select_from(both)).scalar_one()


def _within(at: sa.ColumnElement[datetime], begun: datetime, until: datetime | None) -> sa.ColumnElement[bool]:
    return at >= begun if until is None else sa.and_(at >= begun, at < until)


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
