"""What the trainings of the return score have learnt, as kept, and the scores of a campaign's customers by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage.return_score.model import Model
from engage.segments.fields import RETURN_FIELDS
from engage.storage.schema import customer
from engage.storage.schema import model as model_table
from engage.window import Window


@dataclass(frozen=True)
class Trained:
    """A row of the table ``model``."""

    model_id: int
    trained_at: datetime
    model: Model


def newest(conn: sa.Connection, *, before: Window | None = None) -> Trained | None:
    """The newest training; with ``before`` the newest of those that have learnt from windows before it only."""
    query = sa.select(model_table).order_by(model_table.c.model_id.desc()).limit(1)
    if before is not None:
        query = query.where(model_table.c.window_start < before.start)
    return _trained(conn.execute(query).one_or_none())


def to_score(conn: sa.Connection, window: Window) -> Trained | None:
    """The training by which the window's customers are scored; None if the newest one may not be used.

    It has learnt from windows before this one only, and knows of their customers' returns from this one at the latest.
    So no score knows the outcome that it foretells, however old the window is.
    """
    found = newest(conn, before=window)
    return found if found and found.model.verdict.in_use else None


def find(conn: sa.Connection, model_id: int) -> Trained | None:
    """The training with this id."""
    return _trained(conn.execute(sa.select(model_table).where(model_table.c.model_id == model_id)).one_or_none())


def add(conn: sa.Connection, model: Model, *, as_of: datetime) -> Trained:
    """Keep what a training has learnt."""
    insert = sa.insert(model_table).values(trained_at=as_of, **model.to_columns()).returning(model_table.c.model_id)
    return Trained(conn.execute(insert).scalar_one(), as_of, model)


def scored(rows: sa.Select[tuple[object, ...]], window: Window, found: Trained | None) -> sa.Select[tuple[object, ...]]:
    """The rows of ``customer_activity`` with ``return_score`` and ``return_percentile``; both are null without a model.

    Only the window's own customers are ranked, and equal scores have the same rank. Ids and scores alone are sorted, as
    whole rows of a million customers would not fit in memory.
    """
    if found is None:
        return rows.add_columns(*(sa.cast(sa.null(), sa.Double).label(name) for name in RETURN_FIELDS))
    every = rows.subquery("every")
    given = sa.select(every, found.model.score(every, window.end).label("return_score")).cte("given")
    registered = sa.select(sa.func.count()).where(customer.c.registered_at < window.end).scalar_subquery()
    lower = sa.func.rank().over(order_by=given.c.return_score) - 1
    ranked = (
        sa.select(given.c.customer_id, (lower * sa.literal(100.0, sa.Double) / registered).label("return_percentile"))
        .where(given.c.window_start == window.start)
        .subquery("ranked")
    )
    both = given.outerjoin(ranked, ranked.c.customer_id == given.c.customer_id)
    return sa.select(given, ranked.c.return_percentile).select_from(both)


def _trained(row: sa.Row[tuple[object, ...]] | None) -> Trained | None:
    if row is None:
        return None
    return Trained(row.model_id, row.trained_at, Model.from_columns(row._asdict()))
