"""The draw of an experiment: which customers are the campaign's holdout, and which text the others get.

The draw is by phone, so customers who share one are in the same arm. It is a hash, so it is always the same for one
campaign, and drawn anew for the next: the SHA-256 of ``window_start/phone_hash``, such as ``2026-09-14/5f2c…`` with the
hash in hex. Its first three bytes decide the arm, the next three the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import accumulate
from typing import Any

import sqlalchemy as sa

from engage.settings.languages import OWN
from engage.statuses import SkipReason
from engage.storage.schema import customer
from engage.window import Window

_PARTS = 1 << 24
Weights = Mapping[str, Mapping[str, float]]
"""The share of each text, by segment with several."""


def drawn(
    placed: sa.Select[Any],
    reason: sa.ColumnElement[Any],
    window: Window,
    percent: Decimal,
    weights: Weights,
) -> sa.Subquery:
    """The rows of ``placed`` with the ``reason`` not to text the customer, the draw's included, and the ``variant``.

    ``placed`` has the columns ``bucket``, ``phone_hash`` and ``customer_id``, and an ``OFFSET 0``. One hash of each
    customer without a reason draws both the arm and the text. It has a subquery of its own, as Postgres would compute
    it again for each byte that is read (300,000 customers: 1.4 s instead of 0.9 s).
    """
    only = sa.literal(OWN, sa.Text).label("variant")
    if not weights and not percent:
        return placed.add_columns(sa.cast(reason, sa.Text).label("reason"), only).subquery("own")
    eligible = placed.add_columns(sa.cast(reason, sa.Text).label("reason")).subquery("eligible")
    of_eligible = sa.case((eligible.c.reason.is_(None), digest(window, eligible)))
    hashed = sa.select(eligible, of_eligible.label("drawn")).offset(0).subquery("hashed")
    held_out = holdout_reason(window, percent, hashed.c.drawn)
    return (
        sa.select(
            *(column for column in hashed.c if column.name not in {"reason", "drawn"}),
            sa.func.coalesce(hashed.c.reason, held_out).label("reason"),
            variant(hashed.c.bucket, hashed.c.drawn, weights).label("variant") if weights else only,
        )
        .offset(0)
        .subquery("own")
    )


def holdout_reason(
    window: Window, percent: Decimal, drawn: sa.ColumnElement[bytes] | None = None
) -> sa.ColumnElement[str | None]:
    """The reason not to text a ``customer`` in the holdout, null for all others.

    A larger share keeps the customers of a smaller one. ``drawn``: the customer's ``digest``, if it is there already.
    """
    if not percent:
        return sa.cast(sa.null(), sa.Text)
    chosen = _number(digest(window) if drawn is None else drawn, 0) < int(percent * _PARTS / 100)
    return sa.case((chosen, sa.literal(SkipReason.HOLDOUT, sa.Text)), else_=sa.cast(sa.null(), sa.Text))


def digest(window: Window, of: sa.FromClause = customer) -> sa.ColumnElement[bytes]:
    """The hash to draw a customer by, from ``phone_hash`` and ``customer_id``; one without a phone is drawn by id."""
    identity = sa.func.coalesce(sa.func.encode(of.c.phone_hash, "hex"), sa.cast(of.c.customer_id, sa.Text))
    seed = sa.func.concat(f"{window.start:%Y-%m-%d}/", identity)
    return sa.func.sha256(sa.func.convert_to(seed, "UTF8"), type_=sa.LargeBinary)


def variant(segment: sa.ColumnElement[str], drawn: sa.ColumnElement[bytes], weights: Weights) -> sa.ColumnElement[str]:
    """The text that a customer is drawn for."""
    number = _number(drawn, 3)
    by_segment = {name: _text_at(number, shares) for name, shares in weights.items()}
    only = sa.literal(OWN, sa.Text)
    return sa.case(by_segment, value=segment, else_=only)


def _text_at(number: sa.ColumnElement[int], shares: Mapping[str, float]) -> sa.ColumnElement[str]:
    """The text in whose part of the line from 0 to 2^24 a number lies; the parts are as long as the shares."""
    *firsts, last = sorted(shares)
    ends = accumulate(shares[name] for name in firsts)
    parts = [(number < round(end * _PARTS), sa.literal(name, sa.Text)) for name, end in zip(firsts, ends, strict=True)]
    return sa.case(*parts, else_=sa.literal(last, sa.Text))


def _number(drawn: sa.ColumnElement[bytes], first: int) -> sa.ColumnElement[int]:
    """Three bytes of the hash as a number from 0 to 2^24 - 1."""
    byte = [sa.func.get_byte(drawn, first + n, type_=sa.Integer) for n in range(3)]
    return (byte[0] * 256 + byte[1]) * 256 + byte[2]
