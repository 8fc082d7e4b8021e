"""Where a budget cut a campaign's list: for each segment how many messages it kept, and up to which customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class BudgetCut:
    """The cut of one segment. Customers with the lowest or the highest values of ``field`` were kept.

    ``field`` and ``at`` are None if no condition of the segment orders its customers, so that chance chose them. ``at``
    is the value of the last customer who was kept; None if that customer has none.
    """

    kept: int
    of: int
    """Messages that the segment would have had."""
    field: str | None = None
    lowest: bool = True
    at: Fraction | None = None

    @property
    def number(self) -> Decimal | None:
        """``at`` with at most 6 decimals."""
        if self.at is None:
            return None
        return round(Decimal(self.at.numerator) / Decimal(self.at.denominator), 6)

    def to_json(self) -> dict[str, Any]:
        """As the campaign's row keeps it."""
        return asdict(self) | {"at": None if self.at is None else str(self.at)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> BudgetCut:
        """Read what a campaign's row keeps."""
        return cls(**(dict(row) | {"at": None if row["at"] is None else Fraction(row["at"])}))


def read(row: Mapping[str, Any] | None) -> dict[str, BudgetCut]:
    """The cuts by segment that a campaign's row keeps; none if its list was within the budget."""
    return {name: BudgetCut.from_json(one) for name, one in (row or {}).items()}
