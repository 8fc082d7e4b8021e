"""How many customers of a draft's segments may be texted, and how many are left out for which reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.campaigns import window_customers
from engage.segments import sql
from engage.sending import eligibility, experiment_draw
from engage.settings import Settings
from engage.statuses import SkipReason
from engage.storage.schema import customer
from engage.texts import phone
from engage.window import Window

MOST_PHONES = 20_000
"""Customers whose phone numbers are checked one by one. A check takes about 50 µs."""


Counts = Counter[tuple[str, str | None]]
"""Customers by segment and reason."""


@dataclass(frozen=True)
class Recipients:
    """Who may be texted of a draft's segments with a text, and how many customers are left out for which reason.

    ``held_out`` counts the holdout by segment, which is a part of those left out. ``phones_checked``: whether numbers
    that no mobile phone can have are left out.
    """

    by_segment: dict[str, int]
    held_out: dict[str, int]
    left_out: dict[SkipReason, int]
    phones_checked: bool = True

    @property
    def all(self) -> int:
        return sum(self.by_segment.values())


def recipients(
    conn: sa.Connection, window: Window, draft: Settings, as_of: datetime, *, rows: sa.Table | None = None
) -> Recipients:
    """Count who may be texted if the window's campaign were queued now with the draft, as ``queue`` decides it.

    ``rows``: the activity of its customers, which by default is that of ``window_customers``.
    """
    cap = eligibility.frequency_cap(conn, window, draft, as_of)
    activity = window_customers.rows(conn, window) if rows is None else rows
    own = _candidates(activity, window, draft, cap, as_of)
    query = sa.select(own.c.segment, own.c.reason, sa.func.count()).group_by(own.c.segment, own.c.reason)
    counts = Counter({(row[0], row[1]): row[2] for row in conn.execute(query)})
    waiting = sum(count for (_, reason), count in counts.items() if reason in {None, SkipReason.HOLDOUT})
    checked = not draft.strict or waiting <= MOST_PHONES
    if draft.strict and checked:
        _check_phones(conn, own, counts)
    else:
        _leave_out_duplicates(conn, own, counts)
    left_out: Counter[SkipReason] = Counter()
    for (_, reason), count in counts.items():
        if reason is not None and count:
            left_out[SkipReason(reason)] += count
    return Recipients(
        {name: counts[name, None] for name in draft.texted},
        {name: counts[name, SkipReason.HOLDOUT] for name in draft.texted},
        dict(left_out.most_common()),
        phones_checked=checked,
    )


def _candidates(
    rows: sa.Table, window: Window, draft: Settings, cap: eligibility.FrequencyCap | None, as_of: datetime
) -> sa.Subquery:
    """The customers of segments with a text, each with the reason why no message is queued, or null."""
    held_out = experiment_draw.holdout_reason(window, draft.holdout_percent)
    placed = sa.select(rows.c.customer_id, sql.segment(draft.rules, rows, window.end).label("segment")).subquery(
        "placed"
    )
    return (
        sa.select(
            placed.c.customer_id,
            placed.c.segment,
            customer.c.phone,
            customer.c.phone_hash,
            sa.func.coalesce(eligibility.ineligible(draft, cap, as_of), held_out).label("reason"),
        )
        .join(customer, customer.c.customer_id == placed.c.customer_id, isouter=True)
        .where(placed.c.segment == sa.any_(sa.literal(list(draft.texted), ARRAY(sa.Text))))
        .offset(0)  # keeps Postgres from computing the reason once for each use
        .subquery("own")
    )


def _check_phones(conn: sa.Connection, own: sa.Subquery, counts: Counts) -> None:
    """Leave out numbers that no mobile phone can have, then all but the first customer of each phone."""
    query = sa.select(own.c.segment, own.c.reason, own.c.phone).where(_drawn(own)).order_by(own.c.customer_id)
    seen: set[str] = set()
    for segment, reason, number in conn.execute(query):
        why = phone.not_textable(number) or (SkipReason.DUPLICATE_PHONE if number in seen else None)
        seen.add(number)
        if why:
            _move(counts, (segment, reason), why)


def _leave_out_duplicates(conn: sa.Connection, own: sa.Subquery, counts: Counts) -> None:
    """Of the customers who share a phone and might be texted, keep only the lowest id."""
    shared = (
        sa.select(own.c.phone_hash, sa.func.min(own.c.customer_id).label("first"))
        .where(_drawn(own))
        .group_by(own.c.phone_hash)
        .having(sa.func.count() > 1)
    )
    firsts = {row.phone_hash: row.first for row in conn.execute(shared)}
    if not firsts:
        return
    query = sa.select(own.c.segment, own.c.reason, own.c.phone_hash, own.c.customer_id).where(
        _drawn(own), own.c.phone_hash == sa.any_(sa.literal(list(firsts), ARRAY(sa.LargeBinary)))
    )
    for row in conn.execute(query):
        if row.customer_id > firsts[row.phone_hash]:
            _move(counts, (row.segment, row.reason), SkipReason.DUPLICATE_PHONE)


def _drawn(own: sa.Subquery) -> sa.ColumnElement[bool]:
    """Whether only the draw decides about the customer."""
    return sa.or_(own.c.reason.is_(None), own.c.reason == SkipReason.HOLDOUT)


def _move(counts: Counts, group: tuple[str, str | None], why: SkipReason) -> None:
    counts[group] -= 1
    counts[group[0], why] += 1
