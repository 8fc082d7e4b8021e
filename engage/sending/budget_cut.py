"""Cuts a list to the budget: each segment keeps those furthest beyond its threshold.

A segment's customers stand in the order of its first condition with a number: ``total_spend < 100`` puts the lowest
spend first, ``avg_weekly_sessions > 5`` the most sessions. Customers who tie are in an order by chance, and so are all
customers of a segment without such a condition. The order does not look at the arms of the experiment: a customer of
the holdout who stands behind the last message leaves the experiment as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from engage.campaigns.budget_cuts import BudgetCut
from engage.segments import FIELDS, Condition, Operator, Segment, Unit
from engage.segments.order import Order, order
from engage.segments.relative import Side
from engage.segments.rules import ORDERING
from engage.sending import budget, experiment_draw
from engage.settings import Settings
from engage.statuses import ExperimentArm, MessageStatus, SkipReason
from engage.storage import partitions
from engage.storage.schema import customer_activity
from engage.window import Window

_LOWEST_FIRST = {Operator.BELOW, Operator.AT_MOST}
_AFTER_THE_DRAW = 8
"""The first byte of a customer's hash that decides neither the arm nor the text, counted from 1."""


@dataclass(frozen=True)
class _Places:
    """A segment's customers who might be texted, each with the messages up to theirs. ``field``: what orders them."""

    rows: sa.Subquery
    by: Order | None
    field: str | None
    lowest: bool


def cut(
    conn: sa.Connection, rows: sa.Table, window: Window, settings: Settings, messages: Mapping[str, int]
) -> dict[str, BudgetCut]:
    """Skip what is beyond the budget in a new ledger ``rows``, and say where each segment was cut; empty if it fits.

    ``messages``: how many of its rows wait, by segment.
    """
    kept = budget.kept(settings, messages)
    if settings.over_budget != "cut" or kept == dict(messages):
        return {}
    segments = {one.name: one for one in settings.rules.segments}
    found = {}
    for name, count in messages.items():
        if kept[name] == count:
            continue
        places = _places(rows, window, segments[name])
        found[name] = BudgetCut(kept[name], count, places.field, places.lowest, _last(conn, places, kept[name]))
        _skip(conn, rows, places, kept[name])
    return found


def first_order(segment: Segment) -> Condition | None:
    """The condition that orders a segment's customers; None if none does."""
    ordered = (
        one
        for one in segment.when
        if isinstance(one, Condition) and one.operator in ORDERING and FIELDS[one.field].unit is not Unit.SEGMENT
    )
    return next(ordered, None)


def _places(rows: sa.Table, window: Window, segment: Segment) -> _Places:
    condition = first_order(segment)
    lowest = condition is None or condition.operator in _LOWEST_FIRST
    numbers = partitions.of(customer_activity, window)
    by = order(condition.field, numbers, window.end, Side.LOWEST if lowest else Side.HIGHEST) if condition else None
    chance = sa.func.substr(experiment_draw.digest(window, rows), _AFTER_THE_DRAW)
    first = [] if by is None else [by.key if lowest else by.key.nulls_first()]  # what never happened is longest ago
    texted = sa.case((rows.c.arm == ExperimentArm.TEXTED, 1), else_=0)
    counted = sa.func.sum(texted).over(order_by=(*first, chance, rows.c.customer_id), rows=(None, 0))
    exact: tuple[sa.ColumnElement[Any], ...] = (by.ratio or (by.key,)) if by else ()
    placed = (
        sa.select(
            rows.c.customer_id,
            rows.c.arm,
            counted.label("messages"),
            *(column.label(f"exact_{number}") for number, column in enumerate(exact)),
        )
        .select_from(rows.outerjoin(numbers, numbers.c.customer_id == rows.c.customer_id))
        .where(rows.c.bucket == segment.name, rows.c.arm.is_not(None))
        .subquery("placed")
    )
    return _Places(placed, by, condition.field if condition else None, lowest)


def _last(conn: sa.Connection, places: _Places, kept: int) -> Fraction | None:
    """The exact value of the last customer who keeps a message."""
    by, placed = places.by, places.rows.c
    if by is None or not kept:
        return None
    exact = [column for column in placed if column.name.startswith("exact_")]
    query = sa.select(*exact).where(placed.arm == ExperimentArm.TEXTED, placed.messages == kept)
    found = conn.execute(query).one()
    if found[0] is None:
        return None
    return by.value(Fraction(*found) if by.ratio else found[0])


def _skip(conn: sa.Connection, rows: sa.Table, places: _Places, kept: int) -> None:
    """Skip the segment's messages after the last one that is kept, and take the holdout behind it out of its arm."""
    placed = places.rows.c
    beyond = sa.or_(
        sa.and_(placed.arm == ExperimentArm.TEXTED, placed.messages > kept),
        sa.and_(placed.arm == ExperimentArm.HOLDOUT, placed.messages >= kept),
    )
    left_out = sa.select(placed.customer_id).where(beyond)
    values = {"status": MessageStatus.SKIPPED, "reason": SkipReason.OVER_BUDGET, "arm": None, "variant": None}
    conn.execute(sa.update(rows).where(rows.c.customer_id.in_(left_out)).values(values))
