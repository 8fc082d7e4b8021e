"""The section *Odd customers* of a campaign's report: whose numbers are far beyond all others, and by which limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engage.currency import currency
from engage.formats import number
from engage.reports import odd_customers as words
from engage.reports.odd_customers import Finding, OddReport
from engage.statuses import OddLimit

SHOWN = 50
"""Most rows of the table."""


@dataclass(frozen=True)
class Line:
    """A row: a customer, the number that stands out, and its limit."""

    customer_id: int
    what: str
    value: str
    limit: str
    by: str
    excluded: bool


@dataclass(frozen=True)
class LimitLine:
    """A limit of the window. ``setting``: the one that sets it, or None if chance does."""

    what: str
    limit: str
    by: str
    setting: str | None
    customers: str


@dataclass(frozen=True)
class Section:
    """All that the section shows. ``more``: how many findings the table leaves out."""

    lines: Sequence[Line]
    more: int
    limits: Sequence[LimitLine]

    @property
    def to_exclude(self) -> list[int]:
        """The customers who have a button."""
        return list(dict.fromkeys(one.customer_id for one in self.lines if not one.excluded))


def section(found: OddReport) -> Section:
    """The section of a campaign that has looked for odd customers."""
    lines = [_line(one) for one in found.findings[:SHOWN]]
    limits = [
        LimitLine(
            what=words.NAMES[one.measure],
            limit=words.limit(one, currency()),
            by=words.FROM[one.found_by],
            setting=words.SETTINGS[one.measure] if one.found_by is OddLimit.FIXED else None,
            customers=number(None if one.most is None else one.customers),
        )
        for one in found.limits
    ]
    return Section(lines, found.all_findings - len(lines), limits)


def _line(one: Finding) -> Line:
    return Line(
        customer_id=one.customer_id,
        what=words.NAMES[one.measure],
        value=words.number(one.measure, one.value, currency()),
        limit=words.number(one.measure, one.most, currency()),
        by=words.FROM[one.found_by],
        excluded=one.exclusion is not None,
    )
