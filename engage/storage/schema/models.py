"""The table of what the trainings of the return score have learnt."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from engage.storage.schema.columns import metadata, moment

model = sa.Table(
    "model",
    metadata,
    sa.Column("model_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    moment("trained_at", nullable=False),
    moment("window_start", nullable=False, comment="the newest window whose customers it has learnt from"),
    sa.Column("windows", sa.Integer, nullable=False, comment="windows that it has learnt from"),
    sa.Column(
        "customers", sa.BigInteger, nullable=False, comment="customers that it has learnt from, each once per window"
    ),
    sa.Column("returns", sa.BigInteger, nullable=False, comment="how many of them bought in the next window"),
    sa.Column(
        "coefficients",
        JSONB,
        nullable=False,
        comment="the constant, then each feature with its coefficient, standard error and mean",
    ),
    sa.Column(
        "calibration",
        JSONB,
        nullable=False,
        comment="ten bins of customers by score, in windows it had not learnt from: returns expected and actual",
    ),
    sa.Column("auc", sa.Double, comment="in the last two windows, by what the ones before teach; null if unknown"),
    sa.Column("auc_static", sa.Double, comment="as auc, of the window's spend alone"),
    sa.Column("in_use", sa.Boolean, nullable=False, comment="whether campaigns may score by it"),
    sa.Column("why", sa.Text, nullable=False, comment="why it may be used, or what is missing"),
    sa.CheckConstraint("returns BETWEEN 0 AND customers", name="returns"),
    comment="One row per training of the return score. A row never changes; the newest one decides.",
)
