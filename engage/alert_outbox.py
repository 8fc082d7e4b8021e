"""The outbox of alerts: each is written with the fact that it reports, and marked as mailed after the mail has gone.

So an alert is mailed at least once. A mail goes out twice only if its process dies between the mail and the mark.
Every task works the outbox off, and the DAG of maintenance does so every hour. An alert that could not be mailed in a
week expires, and is never mailed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPDataError, SMTPNotSupportedError, SMTPRecipientsRefused, SMTPSenderRefused
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage import alert
from engage.alert import Alert
from engage.statuses import AlertKind
from engage.storage import schema
from engage.window import Window

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 3
"""Alerts in a row that the mail server refuses, after which the rest waits for the next pass."""
REFUSALS = (SMTPDataError, SMTPNotSupportedError, SMTPRecipientsRefused, SMTPSenderRefused)
"""Errors of one message. After any other error of the mail server, the rest waits at once, as a time-out takes long."""

EXPIRES_AFTER = timedelta(days=7)
"""Alerts older than this are not mailed any more: the first address must not get those of months."""

CONFIRMED_AFTER = timedelta(minutes=90)
"""Alerts of the watchdog wait this long. In between it looks again, and withdraws those whose problem is over."""

_unmailed = schema.alert.c.mailed_at.is_(None)


@dataclass(frozen=True)
class Waiting:
    """An alert that waits to be mailed."""

    alert: Alert
    raised_at: datetime
    window: Window | None
    run_id: str | None
    """The last DAG run that computed the window's campaign."""
    link: str | None
    """The log of the task that raised it."""


class Unmailed(NamedTuple):
    """Alerts that were not mailed: those that wait for the next pass, and those that have expired."""

    waiting: int
    expired: int


def put(
    conn: sa.Connection,
    kind: AlertKind,
    *,
    as_of: datetime,
    window: Window | None = None,
    incident: str | None = None,
    link: str | None = None,
    **detail: Any,
) -> None:
    """Write an alert in the transaction of the fact that it reports. ``detail`` holds no customer data.

    An ``incident`` is reported once.
    """
    values = {"kind": kind, "window_start": window and window.start, "detail": detail, "link": link}
    conn.execute(
        insert(schema.alert)
        .values(**values, incident=incident, raised_at=as_of)
        .on_conflict_do_nothing(index_elements=[schema.alert.c.incident])
    )


def deliver(engine: sa.Engine, mail: Callable[[Waiting], None], clock: Callable[[], datetime]) -> int:
    """Mail what waits, the least tried first, and mark each alert once its mail has gone; returns the number of alerts.

    ``mail`` raises an error if the mail server did not take the mail: an OSError, as ``smtplib`` does, unless the
    message is at fault. Two passes at once share the work.
    """
    mailed = failed_in_a_row = 0
    waits = _waits(clock())
    tried: set[int] = set()
    while failed_in_a_row < GIVE_UP_AFTER:
        with engine.begin() as conn:
            rows = _next(conn, waits, tried)
            if not rows:
                break
            ids = [row.alert_id for row in rows]
            tried.update(ids)
            these = sa.update(schema.alert).where(schema.alert.c.alert_id.in_(ids))
            counted: dict[str, Any] = {"attempts": schema.alert.c.attempts + 1}
            try:
                mail(_waiting(rows))
            except Exception as exc:
                log.exception("An alert could not be sent, and stays in the outbox: %s", rows[0].kind)
                conn.execute(these.values(**counted, last_error=type(exc).__name__))
                away = isinstance(exc, OSError) and not isinstance(exc, REFUSALS)
                failed_in_a_row = GIVE_UP_AFTER if away else failed_in_a_row + 1
            else:
                conn.execute(these.values(**counted, mailed_at=clock(), last_error=None))
                mailed += len(ids)
                failed_in_a_row = 0
    return mailed


def unmailed(engine: sa.Engine, *, as_of: datetime) -> Unmailed:
    """The numbers of alerts that were not mailed."""
    expired = _expired(as_of)
    counts = (sa.func.count().filter(~expired), sa.func.count().filter(expired))
    with engine.connect() as conn:
        return Unmailed(*conn.execute(sa.select(*counts).where(_unmailed)).one())


def _waits(now: datetime) -> sa.ColumnElement[bool]:
    """The condition that an alert is to be mailed now."""
    stuck = schema.alert.c.kind == AlertKind.WINDOW_STUCK
    unconfirmed = sa.and_(stuck, schema.alert.c.raised_at > now - CONFIRMED_AFTER)
    return sa.and_(_unmailed, ~_expired(now), ~unconfirmed)


def _expired(now: datetime) -> sa.ColumnElement[bool]:
    """The condition that it is too late to mail an alert. An approval is not asked for once its time is over."""
    raised_at, hours = schema.alert.c.raised_at, schema.alert.c.detail["hours"].as_float()
    asked = schema.alert.c.kind == AlertKind.APPROVAL_REQUESTED
    return sa.or_(raised_at < now - EXPIRES_AFTER, sa.and_(asked, raised_at + hours * timedelta(hours=1) < now))


def withdraw(conn: sa.Connection, kind: AlertKind, *, but: Collection[str], as_of: datetime) -> None:
    """Delete the kind's alerts that were not mailed and have expired, or whose incident is not among ``but``.

    An expired alert whose problem lasts can then be put again.
    """
    gone = sa.or_(schema.alert.c.incident.not_in(but), _expired(as_of))
    conn.execute(sa.delete(schema.alert).where(_unmailed, schema.alert.c.kind == kind, gone))


def unreported(conn: sa.Connection, window: Window) -> tuple[int, str]:
    """What no mail has reported of a window yet: its messages of unknown outcome, and why the sender halted it."""
    rows = conn.execute(
        sa.select(schema.alert.c.kind, schema.alert.c.detail)
        .where(_unmailed, schema.alert.c.window_start == window.start)
        .order_by(schema.alert.c.alert_id)
    ).all()
    unknown = sum(row.detail["count"] for row in rows if row.kind == AlertKind.MESSAGES_UNKNOWN)
    why = [row.detail["why"] for row in rows if row.kind == AlertKind.CAMPAIGN_HALTED]
    return unknown, why[-1] if why else ""


def _next(conn: sa.Connection, waits: sa.ColumnElement[bool], tried: set[int]) -> list[sa.Row[Any]]:
    """The next alert, locked, with the campaign's run; messages of unknown outcome of one window are one alert."""
    first = conn.execute(
        _locked().where(waits, schema.alert.c.alert_id.not_in(tried))
        .order_by(schema.alert.c.attempts, schema.alert.c.alert_id)
        .limit(1)
    ).one_or_none()  # fmt: skip
    if first is None or first.kind != AlertKind.MESSAGES_UNKNOWN:
        return [first] if first else []
    same = sa.and_(schema.alert.c.kind == first.kind, schema.alert.c.window_start == first.window_start)
    return list(conn.execute(_locked().where(waits, same).order_by(schema.alert.c.alert_id)))


def _locked() -> sa.Select[Any]:
    run_id = (
        sa.select(schema.campaign.c.run_id)
        .where(schema.campaign.c.window_start == schema.alert.c.window_start)
        .scalar_subquery()
    )
    return sa.select(schema.alert, run_id.label("run_id")).with_for_update(skip_locked=True, of=schema.alert)


def _waiting(rows: list[sa.Row[Any]]) -> Waiting:
    last = rows[-1]
    detail = dict(last.detail)
    if last.kind == AlertKind.MESSAGES_UNKNOWN:
        detail["count"] = sum(row.detail["count"] for row in rows)
    return Waiting(
        alert=alert.of(AlertKind(last.kind), detail),
        raised_at=rows[0].raised_at,
        window=Window(last.window_start) if last.window_start else None,
        run_id=last.run_id,
        link=last.link,
    )
