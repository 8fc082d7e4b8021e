"""Gives each queued message whose text names ``{{ offer_code }}`` a code of its own.

A code goes into one message at most. It returns to its offer only if the queue is made anew before the campaign is
frozen, so before any customer can have read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from engage.errors import TooFewCodes
from engage.settings import Settings
from engage.statuses import MessageStatus
from engage.storage.schema import offer_code
from engage.texts.template import Template
from engage.window import Window

_LOCK = 0x6F666672  # "offr"
_LEAST_VALID = timedelta(days=1)


def take_turns(conn: sa.Connection, settings: Settings) -> None:
    """Let no other campaign take codes of the same offer until the commit.

    A queue calls it before it reads anything. A campaign that waits here must hold no lock that the other one needs.
    """
    if settings.offer:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK, sa.func.hashtext(settings.offer))))


def release(conn: sa.Connection, window: Window) -> None:
    """Return the codes of an open campaign's earlier queue. A code that was redeemed all the same stays used."""
    # in the order of the codes, as redemptions lock them, so that the two cannot deadlock
    taken = (
        sa.select(offer_code.c.code)
        .where(offer_code.c.window_start == window.start)
        .order_by(offer_code.c.code)
        .with_for_update()
        .cte("taken")
    )
    kept = {
        name: sa.case((offer_code.c.redeemed_at.is_not(None), offer_code.c[name]), else_=sa.null())
        for name in ("window_start", "segment", "variant")
    }
    conn.execute(sa.update(offer_code).where(offer_code.c.code == taken.c.code).values(customer_id=None, **kept))


@dataclass(frozen=True)
class Demand:
    """How many codes a queue needs, by segment, and how many its offer has for it."""

    offer: str
    needed: dict[str, int]
    free: int
    too_short: int
    """Further codes that no message has, and that expire before ``valid_until``."""
    valid_until: datetime

    @property
    def total(self) -> int:
        """Codes that all its messages need."""
        return sum(self.needed.values())

    @property
    def words(self) -> str:
        """The numbers as a sentence; empty if no code is needed."""
        if not self.needed:
            return ""
        codes = f"{self.total:,} code{'' if self.total == 1 else 's'} of the offer {self.offer}"
        short = f" Not counted, as they expire before {self.valid_until:%Y-%m-%d %H:%M} UTC: {self.too_short:,}."
        need = f"The messages to {' and '.join(self.needed)} need {codes}, which has {self.free:,} free."
        return need + (short if self.too_short else "")

    @property
    def advice(self) -> str:
        """What to do about too few codes, as a sentence; empty if there are enough."""
        missing = self.total - self.free
        if missing <= 0:
            return ""
        commands = "`engage offers import FILE --offer {0}` or `engage offers generate {1} --offer {0}`"
        return f"Add {missing:,} with {commands.format(self.offer, missing)}."


def demand(conn: sa.Connection, rows: sa.Table, settings: Settings, as_of: datetime) -> Demand:
    """How many codes the queued ``rows`` of a ledger need. Reads nothing if no text names a code."""
    until = valid_until(settings, as_of)
    texts = _texts(settings)
    needed: dict[str, int] = {}
    free = too_short = 0
    if texts:
        counted = (
            sa.select(rows.c.bucket, sa.func.count().label("messages"))
            .where(_needs(rows, texts))
            .group_by(rows.c.bucket)
        )
        found = {row.bucket: row.messages for row in conn.execute(counted)}
        needed = {segment: found[segment] for segment in settings.texted if segment in found}
    if needed:
        lasts = _lasts(until)
        pool = sa.select(sa.func.count().filter(lasts), sa.func.count().filter(sa.not_(lasts)))
        free, too_short = conn.execute(pool.where(*_of_pool(settings.offer))).one()
    return Demand(settings.offer, needed, free, too_short, until)


def give(conn: sa.Connection, window: Window, rows: sa.Table, settings: Settings, as_of: datetime) -> None:
    """Give the queued ``rows`` of a ledger one code each, those that expire first before others.

    Raises:
        TooFewCodes: the offer has fewer free codes.
    """
    wanted = demand(conn, rows, settings, as_of)
    if wanted.advice:
        raise TooFewCodes(f"{wanted.words} No message was queued. {wanted.advice}")
    if not wanted.needed:
        return
    needing = (
        sa.select(rows.c.customer_id, rows.c.bucket, rows.c.variant, _number(rows.c.customer_id))
        .where(_needs(rows, _texts(settings)))
        .subquery("needing")
    )
    free = (
        sa.select(offer_code.c.code, _number(offer_code.c.expires_at.nulls_last()))
        .where(*_of_pool(settings.offer), _lasts(wanted.valid_until))
        .order_by(offer_code.c.expires_at.nulls_last())
        .limit(wanted.total)
        .subquery("free")
    )
    _nested_loops(conn, "off")  # new codes lack statistics, and a nested loop over a million would take days
    conn.execute(
        sa.update(offer_code)
        .where(offer_code.c.code == free.c.code, free.c.n == needing.c.n)
        .values(
            window_start=window.start,
            customer_id=needing.c.customer_id,
            segment=needing.c.bucket,
            variant=needing.c.variant,
        )
    )
    _nested_loops(conn, "on")


def valid_until(settings: Settings, as_of: datetime) -> datetime:
    """A code is given only if it is valid until then: for a day, and for as long as an approver may take to answer."""
    waits = timedelta(hours=settings.approval_hours) if settings.may_need_approval else timedelta()
    return as_of + _LEAST_VALID + waits


def _texts(settings: Settings) -> list[tuple[str, str]]:
    """The texts that name a code in any language: their segments and variants."""
    return [
        (segment, variant)
        for segment in settings.texted
        for variant, texts in settings.by_variant(segment).items()
        if any("offer_code" in Template.parse(text).placeholders for text in texts.values())
    ]


def _needs(rows: sa.Table, texts: list[tuple[str, str]]) -> sa.ColumnElement[bool]:
    return sa.and_(rows.c.status == MessageStatus.QUEUED, sa.tuple_(rows.c.bucket, rows.c.variant).in_(texts))


def _of_pool(offer: str) -> tuple[sa.ColumnElement[bool], ...]:
    return offer_code.c.offer == offer, offer_code.c.window_start.is_(None)


def _lasts(until: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(offer_code.c.expires_at.is_(None), offer_code.c.expires_at >= until)


def _number(order: sa.ColumnElement[object]) -> sa.Label[int]:
    return sa.func.row_number().over(order_by=order).label("n")


def _nested_loops(conn: sa.Connection, value: str) -> None:
    conn.execute(sa.select(sa.func.set_config("enable_nestloop", value, True)))
