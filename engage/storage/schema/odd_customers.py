"""The tables of odd customers: those that a campaign found, and those that an operator has excluded."""

from __future__ import annotations

import sqlalchemy as sa

from engage.statuses import OddLimit, OddMeasure
from engage.storage.schema.columns import metadata, moment, one_of

odd_customer = sa.Table(
    "odd_customer",
    metadata,
    moment("window_start", nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("found_by", sa.Text, nullable=False, comment="where the limit comes from"),
    sa.Column("value", sa.BigInteger, nullable=False, comment="sessions, cents, or customers on the phone"),
    sa.Column("most", sa.BigInteger, nullable=False, comment="the limit: the largest value that is not odd"),
    sa.PrimaryKeyConstraint("window_start", "measure", "customer_id"),
    one_of("measure", OddMeasure),
    one_of("found_by", OddLimit),
    comment="One row per window, measure and customer far beyond the others, at most a hundred per limit. "
    "campaign.odd counts all of them.",
)

customer_exclusion = sa.Table(
    "customer_exclusion",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("excluded_by", sa.Text, nullable=False),
    moment("excluded_at", nullable=False),
    comment="One row per customer whom an operator has excluded from the texts of every campaign.",
)
