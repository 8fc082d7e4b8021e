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
from sqlalchemy.dialects.postgresql import ARRAY

from engage.campaigns import campaign, tail_limit, valid_events
from engage.campaigns.distribution import Distribution
from engage.campaigns.tail_limit import TailLimit
from engage.settings import Settings
from engage.statuses import NoLimit, OddLimit, OddMeasure, SkipReason
from engage.storage import partitions
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer_activity, odd_customer
from engage.window import LENGTH, Window

_ON_THE_LIST = (SkipReason.DUPLICATE_PHONE, SkipReason.HOLDOUT, SkipReason.BACKFILL, SkipReason.TOO_LATE)
"""The reasons that say nothing against a customer beside the shared phone."""
LISTED = 100
"""Most customers beyond one limit whom a campaign lists, those with the largest numbers."""


_candidate = sa.Table(
    "odd_candidate",
    sa.MetaData(),
    sa.Column("customer_id", sa.BigInteger),
    *(sa.Column(name, sa.BigInteger) for name in (OddMeasure.SESSIONS, OddMeasure.SPEND)),
    sa.Column(OddMeasure.PURCHASE, sa.BigInteger),  # the most that the spend can be, as no purchase is larger
    prefixes=["TEMPORARY"],
)
"""The customers with the largest numbers, while a step looks at them."""


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
    wanted = tail_limit.excesses(sum(spread.cells.values()))
    fixed = _fixed(settings)
    _candidate.create(conn)
    _gather(conn, window, spread, wanted, fixed)
    if wanted and (crowd := _beyond_fixed_sessions(conn, fixed)):  # the limit by chance needs as many others
        conn.execute(sa.delete(_candidate))
        _gather(conn, window, spread, wanted, fixed, crowd=crowd)
    if wanted:
        _look_up_spend(conn, window)
    limits = [*_by_chance(conn, wanted, fixed), *fixed]
    found = [
        _largest_purchases(conn, window, one) if one[0].measure is OddMeasure.PURCHASE else one
        for one in _listed(conn, _beyond(limits))
    ]
    _candidate.drop(conn)
    return OddCustomers(_keep(conn, window, found))


def with_shared_phones(
    conn: sa.Connection, window: Window, settings: Settings, ledger: sa.Table | None
) -> OddCustomers:
    """Add the customers whose phone too many customers of the window's ``ledger`` have. None: no phone has so many.

    Customers who may not be texted do not count.
    """
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


def _gather(
    conn: sa.Connection, window: Window, spread: Distribution, wanted: int, fixed: Sequence[Beyond], *, crowd: int = 0
) -> None:
    """Copy the customers with the ``wanted`` + 1 largest numbers, and all beyond a fixed limit, to ``odd_candidate``.

    The bins of ``spread`` say where the largest numbers begin, so one scan finds them. ``crowd``: how many customers
    are beyond the fixed limit of sessions. A spend is 0 if all of it came back, as the sums then know only what it was
    at most.
    """
    rows = partitions.of(customer_activity, window)
    most = rows.c.total_spend_cents + rows.c.refunded_cents
    spend = sa.case((rows.c.total_spend_cents > 0, most), else_=0)
    values = {OddMeasure.SESSIONS: rows.c.sessions, OddMeasure.SPEND: spend, OddMeasure.PURCHASE: most}
    conditions = [values[one.measure] > one.most for one in fixed]
    if wanted:
        conditions += [
            values[OddMeasure.SESSIONS] >= spread.sessions_reached_by(wanted + 1 + crowd),
            most >= spread.spend_reached_by(wanted + 1),
        ]
    largest = sa.select(rows.c.customer_id, *values.values()).where(sa.or_(sa.false(), *conditions))
    conn.execute(sa.insert(_candidate).from_select(list(_candidate.c), largest))


def _beyond_fixed_sessions(conn: sa.Connection, fixed: Sequence[Beyond]) -> int:
    most = next((one.most for one in fixed if one.measure is OddMeasure.SESSIONS), None)
    beyond = _candidate.c[OddMeasure.SESSIONS] > most
    return 0 if most is None else conn.execute(sa.select(sa.func.count()).where(beyond)).scalar_one()


def _look_up_spend(conn: sa.Connection, window: Window) -> None:
    """Take the spend of candidates who got back all of it, or more, from the log."""
    unknown = sa.and_(_candidate.c[OddMeasure.SPEND] == 0, _candidate.c[OddMeasure.PURCHASE] > 0)
    ids = list(conn.execute(sa.select(_candidate.c.customer_id).where(unknown)).scalars())
    if not ids:
        return
    bought = valid_events.purchases_by_customer(window)
    theirs = bought.c.customer_id == sa.any_(sa.literal(ids, ARRAY(sa.BigInteger)))
    spend = conn.execute(sa.select(bought.c.customer_id, bought.c.total_spend_cents).where(theirs))  # in parallel
    if found := [{"theirs": row.customer_id, "cents": row.total_spend_cents} for row in spend]:
        same = _candidate.c.customer_id == sa.bindparam("theirs")
        conn.execute(sa.update(_candidate).where(same).values({OddMeasure.SPEND: sa.bindparam("cents")}), found)


def _by_chance(conn: sa.Connection, wanted: int, fixed: Sequence[Beyond]) -> list[Beyond]:
    """The limits of sessions and spend. A customer beyond the fixed limit of sessions does not count for them."""
    measures = (OddMeasure.SESSIONS, OddMeasure.SPEND)
    limits = dict.fromkeys(measures, TailLimit(None, NoLimit.TOO_FEW))
    if wanted:
        below = {one.measure: one.most for one in fixed if one.most is not None}
        limits = tail_limit.limits(conn, {measure: _candidate.c[measure] for measure in measures}, wanted, below=below)
    return [Beyond(measure, OddLimit.CHANCE, 0, one.most, one.no_limit) for measure, one in limits.items()]


_Query = sa.Select[tuple[int, int]]
"""Customers and their values."""


def _beyond(limits: Sequence[Beyond]) -> list[tuple[Beyond, _Query | None]]:
    """The candidates beyond each limit. Those beyond a fixed one are not listed by chance as well."""
    fixed = {one.measure: one.most for one in limits if one.found_by is OddLimit.FIXED}

    def query(one: Beyond) -> _Query | None:
        if one.most is None:
            return None
        value = _candidate.c[one.measure]
        customers = sa.select(_candidate.c.customer_id, value.label("value")).where(value > one.most)
        most = fixed.get(one.measure) if one.found_by is OddLimit.CHANCE else None
        return customers if most is None else customers.where(value <= most)

    return [(one, query(one)) for one in limits]


def _largest_purchases(conn: sa.Connection, window: Window, spenders: _Listed) -> _Listed:
    """The customers with too large a purchase, who are among the ``spenders`` of more than its limit."""
    limit, listed = spenders
    if not limit.customers or limit.most is None:
        return spenders
    ids = [customer_id for customer_id, _ in listed] if limit.customers <= LISTED else None
    largest = valid_events.largest_purchases(window, above=limit.most, customers=ids)
    query = sa.select(largest.c.customer_id, largest.c.cents.label("value"))
    known = query.join(_candidate, _candidate.c.customer_id == largest.c.customer_id)
    [found] = _listed(conn, [(replace(limit, customers=0), known)])
    return found


def _sharing(ledger: sa.Table, limit: Beyond) -> _Query:
    on_the_list = sa.or_(ledger.c.reason.is_(None), ledger.c.reason.in_(_ON_THE_LIST))
    phones = (
        sa.select(ledger.c.phone_hash, sa.func.count().label("value"))
        .where(ledger.c.phone_hash.is_not(None), on_the_list)
        .group_by(ledger.c.phone_hash)
        .having(sa.func.count() > limit.most)
        .subquery("phones")
    )
    same = phones.c.phone_hash == ledger.c.phone_hash
    return sa.select(ledger.c.customer_id, phones.c.value).join(phones, same).where(on_the_list)


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
