"""Step 3: sum up each customer's sessions, purchases, spend and app events over the window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage.campaigns import campaign, history, refunds, return_models, valid_events
from engage.campaigns.return_models import Trained
from engage.settings import Settings
from engage.statuses import AppEventKind, CampaignStatus, RejectReason
from engage.storage import partitions
from engage.storage.schema import customer, customer_activity
from engage.window import WEEKS, Window


@dataclass(frozen=True)
class AggregateSummary:
    """Rows of ``customer_activity``, and rejected events by reason; ``frozen``: an earlier run computed them."""

    customers: int
    rejected: dict[str, int]
    frozen: bool = False


def aggregate(engine: sa.Engine, window: Window) -> AggregateSummary:
    """Replace the window's rows of ``customer_activity``, unless the campaign is frozen.

    Raises:
        NotReady: ``extract`` has not opened the campaign.
    """
    with campaign.step(engine, window, "aggregate") as step:
        found = step.campaign
        if found.frozen:
            return AggregateSummary(found.customers or 0, found.rejected, frozen=True)
        campaign.hold_results(step.conn, window.previous())
        wanted, model = scored_activity(step.conn, window, step.settings)
        every_id = partitions.build(step.conn, customer_activity, window, wanted)
        customers, valid, rejected_ids = separate(step.conn, every_id, window)
        partitions.swap_in(step.conn, customer_activity, window)
        rejected = found.rejected | rejected_ids
        count, rejected_refunds = refunds.count_window(step.conn, window)
        rejected |= rejected_refunds
        if count:
            valid[refunds.KIND] = count
        if valid != found.events:  # the log has grown since extract, perhaps by rejected events
            rejected |= valid_events.count_window(step.conn, window)[1]
        rejected = {str(reason): count for reason, count in rejected.items()}  # as the campaign keeps them
        step.save(
            status=CampaignStatus.AGGREGATED,
            customers=customers,
            events=valid,
            rejected=rejected,
            buckets=None,
            history_kept=False,
            model_id=model and model.model_id,
        )
        return AggregateSummary(customers, rejected)


def scored_activity(
    conn: sa.Connection, window: Window, settings: Settings, until: datetime | None = None
) -> tuple[sa.Select[tuple[object, ...]], Trained | None]:
    """The rows of ``activity`` with the return score, and the training that gives it.

    ``until``: the window is still running, and later events do not count.
    """
    before = history.before(conn, window)
    events = valid_events.any_app_event(conn, window)
    favourites = events and settings.uses("favourite_item")
    refunded = refunds.any_in(conn, window)
    wanted = activity(window, before, app_events=events, favourite_items=favourites, refunded=refunded, until=until)
    model = return_models.to_score(conn, window)
    return return_models.scored(wanted, window, model), model


def activity(
    window: Window,
    before: sa.FromClause | None = None,
    *,
    app_events: bool = True,
    favourite_items: bool = False,
    refunded: bool = True,
    until: datetime | None = None,
) -> sa.Select[tuple[object, ...]]:
    """The definition of the aggregate: one row per customer, zeros included, and per unknown id in the window's log.

    The columns are those of ``customer_activity``, in order. ``avg_weekly_sessions`` is sessions / 8. ``window_start``
    says which rows count: it is the window's own for customers registered before its end, the next window's for
    customers registered later, and null for unknown ids and for events without a customer. An id that only app events
    have gets no row.

    ``before`` is what ``history.before`` gives. ``favourite_item`` is null unless ``favourite_items``, because it costs
    as much as everything else. Without ``app_events`` there are none, and without ``refunded`` there are no refunds.
    Events after ``until`` do not count.
    """
    sessions = valid_events.sessions_by_customer(window, until)
    purchases = valid_events.purchases_by_customer(window, until)
    others = valid_events.app_events_by_customer(window, until) if app_events else None
    count = sa.func.coalesce(sessions.c.sessions, 0)
    window_start = sa.case(
        (customer.c.registered_at < window.end, window.start),
        (customer.c.registered_at >= window.end, window.end),
    )
    either = sa.func.coalesce(customer.c.customer_id, sessions.c.customer_id)
    favourite = valid_events.favourite_items(window, until=until) if favourite_items else None
    back = refunds.by_customer(window, until) if refunded else None
    # these join the customers first, so that they cannot add a row
    of_customer = [table for table in (others, favourite, back, before) if table is not None]
    customers: sa.FromClause = customer
    for table in of_customer:
        customers = customers.outerjoin(table, table.c.customer_id == customer.c.customer_id)
    own = history.Own(
        sessions=count,
        purchases=sa.func.coalesce(purchases.c.purchases, 0),
        total_spend_cents=_spend(purchases, back),
        last_session_at=sessions.c.last_session_at,
        first_purchase_at=purchases.c.first_purchase_at,
        last_purchase_at=purchases.c.last_purchase_at,
    )
    known, sums = history.known(own, before), history.sums(own, before)
    return sa.select(
        sa.cast(window_start, sa.DateTime(timezone=True)).label("window_start"),
        sa.func.coalesce(either, purchases.c.customer_id).label("customer_id"),
        own.sessions.label("sessions"),
        own.purchases.label("purchases"),
        own.total_spend_cents.label("total_spend_cents"),
        (sa.cast(count, sa.Double) / WEEKS).label("avg_weekly_sessions"),
        customer.c.registered_at,
        *(_count_of(kind, others).label(kind) for kind in AppEventKind),
        *known,
        (sa.cast(sa.null(), sa.Text) if favourite is None else favourite.c.favourite_item).label("favourite_item"),
        _refunded(back).label("refunded_cents"),
        *sums,
    ).select_from(
        customers.outerjoin(sessions, sessions.c.customer_id == customer.c.customer_id, full=True).outerjoin(
            purchases, purchases.c.customer_id == either, full=True
        )
    )


def _count_of(kind: AppEventKind, others: sa.Subquery | None) -> sa.ColumnElement[int]:
    return sa.cast(0, sa.BigInteger) if others is None else sa.func.coalesce(others.c[kind], 0)


def _spend(purchases: sa.Subquery, back: sa.Subquery | None) -> sa.ColumnElement[int]:
    spend: sa.ColumnElement[int] = sa.func.coalesce(purchases.c.total_spend_cents, 0)
    return spend if back is None else sa.func.greatest(spend - _refunded(back), 0)


def _refunded(back: sa.Subquery | None) -> sa.ColumnElement[int]:
    return sa.cast(0, sa.BigInteger) if back is None else sa.func.coalesce(back.c.refunded_cents, 0)


def separate(conn: sa.Connection, every_id: sa.Table, window: Window) -> tuple[int, dict[str, int], dict[str, int]]:
    """Keep the customers of ``activity`` who count.

    Returns their number, all valid events by kind, and the rejected events by reason.
    """
    known = every_id.c.customer_id.is_not(None)
    sums = (sa.func.coalesce(sa.func.sum(every_id.c[name]).filter(known), 0) for name in ("sessions", "purchases"))
    query = sa.select(every_id.c.window_start, sa.func.count(every_id.c.customer_id), *sums)
    found = conn.execute(query.group_by(every_id.c.window_start))
    totals = {start: (count, int(opened), int(bought)) for start, count, opened, bought in found}
    if totals.keys() - {window.start}:
        conn.execute(sa.delete(every_id).where(every_id.c.window_start.is_distinct_from(window.start)))
    none = (0, 0, 0)
    valid = {
        "sessions": sum(opened for _, opened, _ in totals.values()),
        "purchases": sum(bought for _, _, bought in totals.values()),
    }
    rejected: dict[str, int] = {
        RejectReason.UNKNOWN_CUSTOMER: sum(totals.get(None, none)[1:]),
        RejectReason.REGISTERED_LATER: sum(totals.get(window.end, none)[1:]),
    }
    return totals.get(window.start, none)[0], valid, rejected
