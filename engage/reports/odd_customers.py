"""A campaign's odd customers for people: what stands out, beyond which limit, and who is excluded by now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import odd_customers
from engage.campaigns.odd_customers import Beyond
from engage.customers import exclusion
from engage.customers.exclusion import Exclusion
from engage.statuses import NoLimit, OddLimit, OddMeasure
from engage.storage.schema import odd_customer
from engage.window import Window

NAMES = {
    OddMeasure.SESSIONS: "Sessions in the 8 weeks",
    OddMeasure.SPEND: "Spend in the 8 weeks, before refunds",
    OddMeasure.PURCHASE: "Largest purchase",
    OddMeasure.PHONE: "Customers with one phone",
}
SETTINGS = {
    OddMeasure.SESSIONS: "odd_sessions_per_day",
    OddMeasure.PURCHASE: "odd_amount",
    OddMeasure.PHONE: "odd_customers_per_phone",
}
"""The setting of each fixed limit."""
NO_LIMIT = {
    NoLimit.TOO_FEW: "none: too few large numbers to tell",
    NoLimit.TOO_EQUAL: "none: the largest numbers hardly differ",
}
FROM = {OddLimit.FIXED: "a setting", OddLimit.CHANCE: "chance"}
"""Where a limit comes from, after *by*."""
_AMOUNTS = (OddMeasure.SPEND, OddMeasure.PURCHASE)


@dataclass(frozen=True)
class Finding:
    """A number of a customer beyond a limit."""

    customer_id: int
    measure: OddMeasure
    found_by: OddLimit
    value: int
    most: int
    exclusion: Exclusion | None
    """None: the customer is not excluded."""

    def to_dict(self) -> dict[str, Any]:
        """The finding for JSON; amounts are cents."""
        return asdict(self)


@dataclass(frozen=True)
class OddReport:
    """The customers furthest beyond their limits first, and every limit with the number of customers beyond it."""

    findings: list[Finding]
    limits: tuple[Beyond, ...]

    @property
    def all_findings(self) -> int:
        """How many there are; a campaign keeps the first hundred of each limit."""
        return sum(one.customers for one in self.limits)


def report(conn: sa.Connection, window: Window) -> OddReport | None:
    """The odd customers of the window's campaign; None if it has not looked for any."""
    found = odd_customers.of(conn, window)
    if found is None:
        return None
    rows = conn.execute(sa.select(odd_customer).where(odd_customer.c.window_start == window.start)).all()
    exclusions = exclusion.of(conn, {row.customer_id for row in rows})
    findings = [
        Finding(
            customer_id=row.customer_id,
            measure=OddMeasure(row.measure),
            found_by=OddLimit(row.found_by),
            value=row.value,
            most=row.most,
            exclusion=exclusions.get(row.customer_id),
        )
        for row in rows
    ]
    findings.sort(key=lambda one: (-one.value / one.most if one.most else 0, one.customer_id, one.measure))
    return OddReport(findings, found.found)


def number(measure: OddMeasure, value: int, currency: str) -> str:
    """A number of a measure, such as 1,600 sessions."""
    if measure in _AMOUNTS:
        return formats.cents(value, currency)
    return formats.counted(value, "session" if measure is OddMeasure.SESSIONS else "customer")


def limit(one: Beyond, currency: str) -> str:
    """A limit in words, or why there is none."""
    if one.most is None:
        return NO_LIMIT[one.no_limit] if one.no_limit else formats.NOTHING
    return number(one.measure, one.most, currency)
