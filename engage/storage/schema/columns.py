"""What the modules of tables share: the metadata, and columns and checks that many tables have."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """The check that a column holds one of an enum's values."""
    return sa.CheckConstraint(f"{column} IN {tuple(value.value for value in values)!r}", name=column)


def moment(name: str, *, nullable: bool = True, comment: str | None = None) -> sa.Column[object]:
    """A column with a time."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)
