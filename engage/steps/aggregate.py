"""Step 3: sum up each customer's sessions, purchases, spend and app events over the window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from engage.campaigns import campaign, event_sums, history, refunds, return_models, valid_events
from engage.campaigns.campaign import Campaign, Step
from engage.campaigns.event_sums import EventSums, Landed, SumEngine
from engage.campaigns.return_models import Trained
from engage.errors import NotReady
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


def aggregate(engine: sa.Engine, window: Window, sums: Callable[[], SumEngine] | None = None) -> AggregateSummary:
    """Replace the window's rows of ``customer_activity``, unless the campaign is frozen.

    If the settings say so, the engine that ``sums`` gives sums up the events first, while no lock is held.

    Raises:
        NotReady: ``extract`` has not opened the campaign, or has run again in the meantime.
        SparkError: the other engine cannot give the sums, or they are of other events than Postgres has.
    """
    before, summed = _summed(engine, window, sums)
    with campaign.step(engine, window, "aggregate") as step:
        found = step.campaign
        if found.frozen:
            return AggregateSummary(found.customers or 0, found.rejected, frozen=True)
        _require_same_settings(before, found)
        campaign.hold_results(step.conn, window.previous())
        customers, valid, rejected, model_id = _built(step, summed)
        partitions.swap_in(step.conn, customer_activity, window)
        rejected = {str(reason): count for reason, count in (found.rejected | rejected).items()}
        step.save(
            status=CampaignStatus.AGGREGATED,
            customers=customers,
            events=valid,
            rejected=rejected,
            buckets=None,
            history_kept=False,
            model_id=model_id,
        )
        return AggregateSummary(customers, rejected)


def _summed(
    engine: sa.Engine, window: Window, sums: Callable[[], SumEngine] | None
) -> tuple[Campaign | None, EventSums | None]:
    """The campaign as it was found, and the sums of another engine if its settings name one."""
    with engine.connect() as conn:
        found = campaign.find(conn, window)
    if found is None or found.frozen or found.settings is None or found.settings.engine == "postgres":
        return found, None
    summing = event_sums.engine_of(found.settings.engine, sums)
    return found, summing.sums(window, favourites=found.settings.uses("favourite_item"))


def _require_same_settings(before: Campaign | None, now: Campaign) -> None:
    if before is None or (before.settings, before.settings_at) != (now.settings, now.settings_at):
        raise NotReady(f"extract has run again for the window {now.window} while aggregate was at work.")


def _built(step: Step, summed: EventSums | None) -> tuple[int, dict[str, int], dict[str, int], int | None]:
    """The fresh table of the window, made from Postgres's log or from another engine's sums.

    Returns the customers, the valid events by kind, the events that are rejected now, and the model of the scores.
    """
    conn, window = step.conn, step.window
    landed = None if summed is None else _landed(conn, window, summed)
    wanted, model = scored_activity(conn, window, step.settings, landed=landed)
    every_id = partitions.build(conn, customer_activity, window, wanted)
    customers, valid, rejected = separate(conn, every_id, window)
    lake = landed if landed is not None and landed.lake else None
    count, rejected_refunds = lake.refunds_of(conn, window) if lake else refunds.count_window(conn, window)
    if count:
        valid[refunds.KIND] = count
    if valid != step.campaign.events:  # the log has grown since extract, perhaps by rejected events
        if lake:
            raise event_sums.lake_changed(window, step.campaign.events, valid)
        rejected |= valid_events.count_window(conn, window)[1]
    if landed is not None:
        landed.drop(conn)
    return customers, valid, rejected | rejected_refunds, None if model is None else model.model_id


def _landed(conn: sa.Connection, window: Window, summed: EventSums) -> Landed:
    """Another engine's sums as tables of this transaction, if they are of the very rows that Postgres has.

    Raises:
        SparkError: they are of fewer rows, or of more.
    """
    rows = event_sums.rows_in_postgres(conn, window)
    lake = not any(map(sum, rows.values()))  # the window's events are nowhere but in files
    if not lake:
        event_sums.require_same_rows(window, summed.rows, rows)
    return Landed.of(conn, window, summed, lake=lake)


def scored_activity(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    *,
    until: datetime | None = None,
    landed: Landed | None = None,
) -> tuple[sa.Select[tuple[object, ...]], Trained | None]:
    """The rows of ``activity`` with the return score, and the training that gives it.

    ``until``: the window is still running, and later events do not count. ``landed``: the sums of another engine.
    """
    before = history.before(conn, window)
    if landed is None:
        events = valid_events.any_app_event(conn, window)
        favourites = events and settings.uses("favourite_item")
        refunded = refunds.any_in(conn, window)
        wanted = activity(window, before, app_events=events, favourite_items=favourites, refunded=refunded, until=until)
    else:
        wanted = activity(window, before, landed=landed)
    model = return_models.to_score(conn, window)
    return return_models.scored(wanted, window, model), model


class _Events(NamedTuple):
    """Tables with the sums of events by customer id; one table may have several."""

    sessions: sa.FromClause
    purchases: sa.FromClause
    app_events: sa.FromClause | None
    refunds: sa.FromClause | None
    favourites: sa.FromClause | None


def activity(
    window: Window,
    before: sa.FromClause | None = None,
    *,
    app_events: bool = True,
    favourite_items: bool = False,
    refunded: bool = True,
    until: datetime | None = None,
    landed: Landed | None = None,
) -> sa.Select[tuple[object, ...]]:
    """The definition of the aggregate: one row per customer, zeros included, and per unknown id in the window's log.

    The columns are those of ``customer_activity``, in order. ``avg_weekly_sessions`` is sessions / 8. ``window_start``
    says which rows count: it is the window's own for customers registered before its end, the next window's for
    customers registered later, and null for unknown ids and for events without a customer. An id that only app events
    have gets no row.

    ``before`` is what ``history.before`` gives. ``favourite_item`` is null unless ``favourite_items``, because it costs
    as much as everything else. Without ``app_events`` there are none, and without ``refunded`` there are no refunds.
    Events after ``until`` do not count. ``landed``: the sums of another engine, which then stand for all events.
    """
    if landed is None:
        events = _Events(
            valid_events.sessions_by_customer(window, until),
            valid_events.purchases_by_customer(window, until),
            valid_events.app_events_by_customer(window, until) if app_events else None,
            refunds.by_customer(window, until) if refunded else None,
            valid_events.favourite_items(window, until=until) if favourite_items else None,
        )
    else:
        events = _Events(landed.sums, landed.sums, landed.sums, landed.sums, landed.favourites)
    sessions, purchases, others, back, favourite = events
    count = sa.func.coalesce(sessions.c.sessions, 0)
    window_start = sa.case(
        (customer.c.registered_at < window.end, window.start),
        (customer.c.registered_at >= window.end, window.end),
    )
    either = sa.func.coalesce(customer.c.customer_id, sessions.c.customer_id)
    # these join the customers first, so that they cannot add a row
    of_customer = (table for table in (others, favourite, back, before) if table is not sessions)
    joined = _joined(of_customer).outerjoin(sessions, sessions.c.customer_id == customer.c.customer_id, full=True)
    if purchases is not sessions:
        joined = joined.outerjoin(purchases, purchases.c.customer_id == either, full=True)
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
    ).select_from(joined)


def _joined(of_customer: Iterable[sa.FromClause | None]) -> sa.FromClause:
    """The customers, each with its row of the tables that there are."""
    joined: sa.FromClause = customer
    for table in of_customer:
        if table is not None:
            joined = joined.outerjoin(table, table.c.customer_id == customer.c.customer_id)
    return joined


def _count_of(kind: AppEventKind, others: sa.FromClause | None) -> sa.ColumnElement[int]:
    return sa.cast(0, sa.BigInteger) if others is None else sa.func.coalesce(others.c[kind], 0)


def _spend(purchases: sa.FromClause, back: sa.FromClause | None) -> sa.ColumnElement[int]:
    spend: sa.ColumnElement[int] = sa.func.coalesce(purchases.c.total_spend_cents, 0)
    return spend if back is None else sa.func.greatest(spend - _refunded(back), 0)


def _refunded(back: sa.FromClause | None) -> sa.ColumnElement[int]:
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
