"""Learns the return score from the results of past campaigns.

Each window whose next one has results too is learnt from: its customers' numbers, and whether they bought in the next
one. Of many customers a part is read, drawn by a hash of the customer and the window, so that it is always the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from engage.campaigns import return_models
from engage.campaigns.return_models import Trained
from engage.return_score import evaluation
from engage.return_score.evaluation import Rows
from engage.return_score.features import FEATURES
from engage.return_score.logit import NoFit
from engage.return_score.model import Coefficient, Model, coefficients
from engage.return_score.verdict import Verdict
from engage.storage import connection, partitions
from engage.storage.schema import campaign, customer_activity
from engage.window import Window

MAX_ROWS = 200_000
"""About how many customers are learnt from, each counted once per window: 40 MB."""
_CHUNK = 20_000
"""Rows that are fetched at a time."""
_PARTS = 1 << 31
_TRAINING_LOCK = 0x747261696E  # "train"


@dataclass(frozen=True)
class Training:
    """The outcome of a training. ``new``: it is not what the training before has learnt."""

    trained: Trained
    new: bool


@dataclass(frozen=True)
class TrainingSummary:
    """The counts of a training for a task's result. ``skipped``: why there was none."""

    windows: int = 0
    customers: int = 0
    returns: int = 0
    in_use: bool = False
    why: str = ""
    skipped: str = ""


def train_if_due(engine: sa.Engine, *, as_of: datetime) -> TrainingSummary:
    """Learn the return score, if a window has results that the last training did not know."""
    with engine.connect() as conn:
        windows, last = learnable(conn), return_models.newest(conn)
    if windows and last and windows[-1] <= last.model.window:
        return TrainingSummary(skipped=f"The return score has learnt from all windows up to {last.model.window}.")
    done = train(engine, as_of=as_of)
    if done is None:
        return TrainingSummary(skipped=NOTHING)
    model = done.trained.model
    return TrainingSummary(model.windows, model.customers, model.returns, model.verdict.in_use, why=model.verdict.why)


NOTHING = (
    "There is nothing to learn from yet: no window has customers whose purchases in the next window are known. Run the "
    "campaigns of two windows in a row. Windows that a version before 0026 computed need `engage history rebuild`."
)


def train(engine: sa.Engine, *, as_of: datetime) -> Training | None:
    """Learn the return score from all windows, and keep it if it is new; None if there is nothing to learn from.

    Twice is the same as once: the same results teach the same, and are kept once.
    """
    with engine.begin() as lock:
        lock.execute(sa.select(sa.func.pg_advisory_xact_lock(_TRAINING_LOCK)))  # two trainings at once take turns
        found = past(engine)
        if not found:
            return None
        model = learnt(list(found), list(found.values()))
        last = return_models.newest(lock)
        if last and last.model == model:
            return Training(last, new=False)
        return Training(return_models.add(lock, model, as_of=as_of), new=True)


def learnable(conn: sa.Connection) -> list[Window]:
    """The windows whose next one has results too, the oldest first."""
    return [window for window, _ in _with_results(conn)]


def past(engine: sa.Engine) -> dict[Window, Rows]:
    """The customers to learn from by window, the oldest first. A window without customers or history is left out."""
    with engine.connect() as conn:
        shares = _shares(conn)
    read = ((window, _read(engine, window, share)) for window, share in shares)
    return {window: rows for window, rows in read if len(rows.returned)}


def _with_results(conn: sa.Connection) -> list[tuple[Window, int]]:
    """The windows to learn from, each with its number of customers."""
    query = sa.select(campaign.c.window_start, campaign.c.customers).where(campaign.c.customers.is_not(None))
    customers = {Window(start): count for start, count in conn.execute(query.order_by(campaign.c.window_start))}
    return [(window, count) for window, count in customers.items() if window.next() in customers]


def _shares(conn: sa.Connection) -> list[tuple[Window, float]]:
    """The windows to learn from, each with the share of its customers that is read."""
    windows = _with_results(conn)
    return [(window, min(1.0, MAX_ROWS / len(windows) / max(1, count))) for window, count in windows]


def _read(engine: sa.Engine, window: Window, share: float) -> Rows:
    """A share of the window's customers. It holds no lock once it has read them."""
    with engine.begin() as conn:
        connection.tune(conn)
        now, then = (partitions.find(conn, customer_activity, one) for one in (window, window.next()))
        if now is None or then is None:
            return _rows([])
        query = _query(now.alias("now"), then.alias("then"), window, share)
        with conn.execute(query.execution_options(yield_per=_CHUNK)) as found:
            return _rows([_rows_of(chunk) for chunk in found.partitions()])


def _query(now: sa.FromClause, then: sa.FromClause, window: Window, share: float) -> sa.Select[Any]:
    """The rows to learn from, always in the same order.

    A customer who was erased has a negative id and no history. A window that a version before 0026 computed has none.
    """
    drawn = sa.func.hashint8extended(now.c.customer_id, sa.literal(int(window.key), sa.BigInteger))
    query = (
        sa.select(
            now.c.customer_id,
            now.c.total_spend_cents,
            (then.c.purchases > 0).label("returned"),
            *(feature.sql(now, window.end).label(name) for name, feature in FEATURES.items()),
        )
        .join_from(now, then, then.c.customer_id == now.c.customer_id)
        .where(now.c.customer_id >= 0, now.c.purchases_to_date.is_not(None))
        .order_by(now.c.customer_id)
    )
    if share == 1:
        return query
    return query.where(drawn.op("&")(sa.literal(_PARTS - 1, sa.BigInteger)) < round(share * _PARTS))


def _rows_of(chunk: Sequence[sa.Row[Any]]) -> Rows:
    ids, spend, returned = (np.array([row[place] for row in chunk]) for place in range(3))
    return Rows(np.array([row[3:] for row in chunk], dtype=np.float64), spend, returned, ids)


def _rows(chunks: list[Rows]) -> Rows:
    nothing = np.empty(0, dtype=np.int64)
    return evaluation.pooled(chunks) if chunks else Rows(np.empty((0, len(FEATURES))), nothing, nothing > 0, nothing)


def learnt(windows: Sequence[Window], rows: Sequence[Rows]) -> Model:
    """What the windows' customers teach, tested on the last two windows. ``rows``: the customers of each."""
    tested, found = evaluation.evaluate(rows), evaluation.learn(rows)
    numbers: tuple[Coefficient, ...] = ()
    if isinstance(found, NoFit):
        constant, constant_error, verdict = 0.0, 0.0, Verdict(False, found.why)
    else:
        constant, constant_error, numbers = found.constant, found.constant_error, coefficients(found)
        verdict = evaluation.verdict(rows, tested)
    return Model(
        window=windows[-1],
        windows=len(windows),
        customers=sum(len(one.returned) for one in rows),
        returns=sum(int(one.returned.sum()) for one in rows),
        constant=constant,
        constant_error=constant_error,
        coefficients=numbers,
        evaluation=tested,
        verdict=verdict,
    )
