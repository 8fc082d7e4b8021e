"""Odd customers: bots, test accounts and typing errors, whose numbers lie far beyond those of all others.

They are listed, and nothing else: an operator may exclude one (``customers.exclusion``). A limit is fixed by a setting,
or it is the largest number that chance explains (``tail_limit``). By chance about one customer is beyond it.

The step ``bucket`` looks at sessions, spend and the largest purchase. The queue looks at phones, which it compares
anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from engage.campaigns import campaign, tail_limit, valid_events
from engage.campaigns.distribution import Distribution
from engage.campaigns.tail_limit import TailLimit
from engage.settings import Settings
from engage.statuses import NoLimit, OddLimit, OddMeasure
from engage.storage import partitions
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer_activity, odd_customer
from engage.window import LENGTH, Window

LISTED = 100
"""Most customers beyond one limit whom a campaign lists, those with the largest numbers."""


@dataclass(frozen=True)
class Beyond:
    """How many customers are beyond one limit.

    ``most`` is the largest number within it: sessions, cents, or customers. Where chance gives no limit it is None, and
    ``no_limit`` says why.
    """

    measure: OddMeasure
    found_by: OddLimit
    customers: int
    most: int | None
    no_limit: NoLimit | None = None


_Listed = tuple[Beyond, list[tuple[int, int]]]
"""How many customers are beyond a limit, and the ids and values of those listed."""


@dataclass(frozen=True)
class OddCustomers:
    """What a campaign has found."""

    found: tuple[Beyond, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """As the campaign's row keeps it; ``from_json`` reads it back."""
        return [asdict(one) for one in self.found]

    @classmethod
    def from_json(cls, kept: Sequence[Mapping[str, Any]]) -> OddCustomers:
        """Read what a campaign's row keeps."""
        return cls(
            tuple(
                Beyond(
                    OddMeasure(one["measure"]),
                    OddLimit(one["found_by"]),
                    one["customers"],
                    one["most"],
                    NoLimit(one["no_limit"]) if one["no_limit"] else None,
                )
                for one in kept
            )
        )


def of(conn: sa.Connection, window: Window) -> OddCustomers | None:
    """What the window's campaign has found; None if its customers are in no buckets, or an earlier version ran it."""
    theirs = campaign_table.c.window_start == window.start
    found = conn.execute(sa.select(campaign_table.c.odd).where(theirs, campaign.has_buckets())).scalar_one_or_none()
    return None if found is None else OddCustomers.from_json(found)


def find(conn: sa.Connection, window: Window, settings: Settings, spread: Distribution) -> OddCustomers:
    """Replace the window's odd customers by those of its ``customer_activity``, which ``spread`` has counted."""
    _forget(conn, window)
    rows = partitions.of(customer_activity, window)
    spend = rows.c.total_spend_cents + rows.c.refunded_cents
    measured = (
        spend.label(OddMeasure.SPEND),
        spend.label(OddMeasure.PURCHASE),
    )  # no purchase is larger than all of them
    numbers = sa.select(rows.c.customer_id, rows.c.sessions, *measured).subquery("numbers")
    limits = [*_by_chance(conn, numbers, settings, spread), *_fixed(settings)]
    found = [
        _largest_purchases(conn, window, rows, one) if one[0].measure is OddMeasure.PURCHASE else one
        for one in _listed(conn, _beyond(numbers, limits))
    ]
    return OddCustomers(_keep(conn, window, found))


def with_shared_phones(
    conn: sa.Connection, window: Window, settings: Settings, ledger: sa.Table | None
) -> OddCustomers:
    """Add the customers whose phone too many customers of the window's ``ledger`` have. None: no phone has so many."""
    _forget(conn, window, odd_customer.c.measure == OddMeasure.PHONE)
    before = of(conn, window) or OddCustomers(())
    others = tuple(one for one in before.found if one.measure is not OddMeasure.PHONE)
    if not settings.odd_customers_per_phone:
        return OddCustomers(others)
    limit = Beyond(OddMeasure.PHONE, OddLimit.FIXED, 0, settings.odd_customers_per_phone)
    found = [(limit, [])] if ledger is None else _listed(conn, [(limit, _sharing(ledger, limit))])
    return OddCustomers((*others, *_keep(conn, window, found)))


def may_share_phones(settings: Settings, repeated: int) -> bool:
    """Whether a phone may have too many customers, if so many customers have the phone of another one."""
    return 0 < settings.odd_customers_per_phone <= repeated


def _forget(conn: sa.Connection, window: Window, *which: sa.ColumnElement[bool]) -> None:
    conn.execute(sa.delete(odd_customer).where(odd_customer.c.window_start == window.start, *which))


def _keep(conn: sa.Connection, window: Window, found: Sequence[_Listed]) -> tuple[Beyond, ...]:
    """Store the customers listed; returns the counts."""
    rows = [
        {
            "window_start": window.start,
            "measure": one.measure,
            "customer_id": customer_id,
            "found_by": one.found_by,
            "value": value,
            "most": one.most,
        }
        for one, customers in found
        for customer_id, value in customers
    ]
    if rows:
        conn.execute(sa.insert(odd_customer), rows)
    return tuple(one for one, _ in found)


def _fixed(settings: Settings) -> list[Beyond]:
    limits = {
        OddMeasure.SESSIONS: settings.odd_sessions_per_day * LENGTH.days,
        OddMeasure.PURCHASE: int(settings.odd_amount * 100),
    }
    return [Beyond(measure, OddLimit.FIXED, 0, most) for measure, most in limits.items() if most]


def _by_chance(conn: sa.Connection, numbers: sa.Subquery, settings: Settings, spread: Distribution) -> list[Beyond]:
    """The limits of sessions and spend. A customer beyond the fixed limit of sessions does not count for them."""
    wanted = tail_limit.excesses(sum(spread.cells.values()))
    limits = dict.fromkeys((OddMeasure.SESSIONS, OddMeasure.SPEND), TailLimit(None, NoLimit.TOO_FEW))
    if wanted:
        sessions, spend = spread.sessions_reached_by(wanted + 1), spread.spend_reached_by(wanted + 1)
        largest = sa.or_(numbers.c.sessions >= sessions, numbers.c.spend >= spend)  # spares a sort of all customers
        large = sa.select(numbers.c.sessions, numbers.c.spend).where(largest).cte("large")
        below = {one.measure: one.most for one in _fixed(settings) if one.most is not None}
        limits = tail_limit.limits(conn, large, wanted, below=below)
    return [Beyond(measure, OddLimit.CHANCE, 0, one.most, one.no_limit) for measure, one in limits.items()]


_Query = sa.Select[tuple[int, int]]
"""Customers and their values."""


def _beyond(numbers: sa.Subquery, limits: Sequence[Beyond]) -> list[tuple[Beyond, _Query | None]]:
    """The customers beyond each limit, whom one scan finds. Those beyond a fixed limit are beyond no other one."""
    over = [numbers.c[one.measure] > one.most for one in limits if one.most is not None]
    found = sa.select(numbers).where(sa.or_(sa.false(), *over)).cte("beyond")
    fixed = {one.measure: one.most for one in limits if one.found_by is OddLimit.FIXED}

    def query(one: Beyond) -> _Query | None:
        if one.most is None:
            return None
        value = found.c[one.measure]
        customers = sa.select(found.c.customer_id, value.label("value")).where(value > one.most)
        most = fixed.get(one.measure) if one.found_by is OddLimit.CHANCE else None
        return customers if most is None else customers.where(value <= most)

    return [(one, query(one)) for one in limits]


def _largest_purchases(conn: sa.Connection, window: Window, rows: sa.Table, spenders: _Listed) -> _Listed:
    """The customers with too large a purchase, who are among the ``spenders`` of more than its limit."""
    limit, listed = spenders
    if not limit.customers or limit.most is None:
        return spenders
    ids = [customer_id for customer_id, _ in listed] if limit.customers <= LISTED else None
    largest = valid_events.largest_purchases(window, above=limit.most, customers=ids)
    query = sa.select(largest.c.customer_id, largest.c.cents.label("value"))
    known = query.join(rows, rows.c.customer_id == largest.c.customer_id)
    [found] = _listed(conn, [(replace(limit, customers=0), known)])
    return found


def _sharing(ledger: sa.Table, limit: Beyond) -> _Query:
    phones = (
        sa.select(ledger.c.phone_hash, sa.func.count().label("value"))
        .where(ledger.c.phone_hash.is_not(None))
        .group_by(ledger.c.phone_hash)
        .having(sa.func.count() > limit.most)
        .subquery("phones")
    )
    return sa.select(ledger.c.customer_id, phones.c.value).join(phones, phones.c.phone_hash == ledger.c.phone_hash)


def _listed(conn: sa.Connection, wanted: Sequence[tuple[Beyond, _Query | None]]) -> list[_Listed]:
    """Count the customers of each query, and list those with the largest values. No query: there is no limit."""
    parts = []
    for number, (_, query) in enumerate(wanted):
        if query is not None:
            one = query.subquery()
            columns = (sa.literal(number).label("number"), *one.c, sa.func.count().over().label("customers"))
            largest = sa.select(*columns).order_by(one.c.value.desc(), one.c.customer_id).limit(LISTED)
            parts.append(sa.select(largest.subquery()))
    found: list[_Listed] = [(one, []) for one, _ in wanted]
    for row in conn.execute(sa.union_all(*parts)) if parts else ():
        one, customers = found[row.number]
        found[row.number] = replace(one, customers=row.customers), [*customers, (row.customer_id, row.value)]
    return found
