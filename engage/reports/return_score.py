"""The return score for people: whether it is in use, how well it ranks, and why a customer's is high or low."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage import formats
from engage.campaigns import return_models, return_training
from engage.campaigns.return_models import Trained
from engage.reports.customer_history import InCampaign
from engage.return_score.explanation import Amount, Reason, reasons
from engage.return_score.verdict import MIN_WINDOWS, Evaluation
from engage.storage.schema import model as model_table


@dataclass(frozen=True)
class Overview:
    """The newest training, or None; since when the score is in use, or None; and what is missing, or empty."""

    trained: Trained | None
    in_use_since: datetime | None
    missing: str


def overview(conn: sa.Connection) -> Overview:
    """Whether the return score is in use, by the newest training."""
    trained = return_models.newest(conn)
    if trained is None:
        windows = len(return_training.learnable(conn))
        return Overview(None, None, f"{windows} of {formats.counted(MIN_WINDOWS, 'window')} to learn from.")
    if not trained.model.verdict.in_use:
        return Overview(trained, None, trained.model.verdict.why)
    last_unused = sa.select(sa.func.max(model_table.c.model_id)).where(~model_table.c.in_use).scalar_subquery()
    since = sa.select(sa.func.min(model_table.c.trained_at)).where(
        model_table.c.model_id > sa.func.coalesce(last_unused, 0)
    )
    return Overview(trained, conn.execute(since).scalar_one(), "")


def ranking(found: Evaluation) -> str:
    """How well the score ranks, in a sentence; empty if it was not tested."""
    if found.auc is None or found.auc_static is None:
        return ""
    return (
        "Of two customers, one who buys in the next window and one who does not, the score ranks the right one first "
        f"in {100 * found.auc:.0f} of 100 cases. Spend alone does so in {100 * found.auc_static:.0f}."
    )


@dataclass(frozen=True)
class Explanation:
    """A customer's score in a campaign, and the reasons that count most."""

    campaign: InCampaign
    score: float
    percentile: float
    reasons: tuple[Reason, ...]

    @property
    def sentence(self) -> str:
        """The score in one sentence."""
        return (
            f"Return score {formats.number(self.score, 2)}, on a scale from 0 to 1. "
            f"{formats.share(self.percentile, 100)} of the window's customers have a lower one."
        )


def explain(conn: sa.Connection, one: InCampaign, *, amount: Amount) -> Explanation | None:
    """Why a customer's score in a campaign is as it is; None if the campaign has no scores."""
    score, percentile = one.values["return_score"], one.values["return_percentile"]
    trained = None if one.model_id is None else return_models.find(conn, one.model_id)
    if score is None or trained is None:
        return None
    found = reasons(trained.model, one.values, one.window.end, amount=amount)
    return Explanation(one, score, percentile, tuple(found))
