"""The messages of one window as a list: filtered, and a part at a time by customer id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa

from engage import parsing
from engage.campaigns.message_counts import Group, MessageCounts
from engage.errors import InputError
from engage.reports import message_words
from engage.segments import SEGMENT_NAME
from engage.statuses import MessageStatus, ProviderFact, SkipReason
from engage.storage.schema import customer, message
from engage.texts.phone import masked
from engage.window import Window

MAX_ERROR_CODE = 2**31 - 1

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class Filters:
    """Which messages of a window to list. None lets every value through."""

    status: MessageStatus | None = None
    reason: SkipReason | None = None
    segment: str | None = None
    fact: ProviderFact | None = None
    error_code: int | None = None
    customer_id: int | None = None

    @classmethod
    def parse(cls, given: Mapping[str, str | None]) -> Filters:
        """The filters from the text of an address; an empty text is no filter.

        Raises:
            InputError: names the filter, its value, and what is allowed.
        """
        text = {name: value.strip() for name, value in given.items() if value and value.strip()}
        segment = text.get("segment")
        if segment is not None and not SEGMENT_NAME.fullmatch(segment):
            raise InputError(f"{segment[:40]!r} is not the name of a segment, which is one such as BOOST.")
        return cls(
            status=_one_of(MessageStatus, "status", text.get("status")),
            reason=_one_of(SkipReason, "reason", text.get("reason")),
            segment=segment,
            fact=_one_of(ProviderFact, "fact", text.get("fact")),
            error_code=_error_code(text.get("error_code")),
            customer_id=parsing.customer_id(text["customer_id"]) if "customer_id" in text else None,
        )

    def with_(self, **changes: Any) -> Filters:
        """The filters with some of them changed."""
        return replace(self, **changes)

    def query(self) -> dict[str, str]:
        """The filters as the parameters of an address."""
        return {one.name: str(value) for one in fields(self) if (value := getattr(self, one.name)) is not None}

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on ``message``."""
        columns = {
            "status": message.c.status,
            "reason": message.c.reason,
            "segment": message.c.bucket,
            "fact": message.c.fact,
            "error_code": message.c.error_code,
            "customer_id": message.c.customer_id,
        }
        return [columns[name] == value for name in columns if (value := getattr(self, name)) is not None]

    def counted(self, counts: MessageCounts) -> int | None:
        """How many messages there are, by the kept counts; None if these do not tell."""
        if self.error_code is not None or self.customer_id is not None:
            return None
        return sum(group.messages for group in counts.groups if self._has(group))

    def _has(self, group: Group) -> bool:
        wanted = (self.status, self.reason, self.segment, self.fact)
        theirs = (group.status, group.reason, group.bucket, group.fact)
        return all(one is None or one == other for one, other in zip(wanted, theirs, strict=True))


def _one_of(values: type[E], name: str, text: str | None) -> E | None:
    if text is None:
        return None
    try:
        return values(text)
    except ValueError:
        raise InputError(f"There is no {name} {text[:40]!r}; there are {', '.join(values)}.") from None


def _error_code(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and int(text[:20]) <= MAX_ERROR_CODE:
        return int(text)
    raise InputError(f"The error code is {text[:40]!r}; it takes the provider's number of an error in plain digits.")


@dataclass(frozen=True)
class Listed:
    """One message of a list. The phone is masked. Times are UTC."""

    customer_id: int
    customer_known: bool
    segment: str
    status: str
    tone: str
    why: str | None
    """Why it was skipped or did not arrive, in words."""
    error_code: int | None
    phone: str
    sms_segments: int | None
    at: datetime
    """When it reached its status."""


@dataclass(frozen=True)
class Page:
    """A part of a list, by customer id. ``before`` and ``after`` lead to the parts around it, if there are any."""

    rows: list[Listed]
    before: int | None
    after: int | None


def page(
    conn: sa.Connection,
    window: Window,
    filters: Filters,
    *,
    limit: int,
    after: int | None = None,
    before: int | None = None,
) -> Page:
    """At most ``limit`` messages with customer ids above ``after``, or the last ones below ``before``.

    No index helps a filter: one on ``status`` would slow every step of every message. To find a few among a million
    takes a quarter of a second. ``Filters.counted`` knows beforehand whether there are any.
    """
    query = sa.select(message).where(message.c.window_start == window.start, *filters.conditions()).limit(limit + 1)
    if before is not None:
        query = query.where(message.c.customer_id < before).order_by(message.c.customer_id.desc())
    else:
        query = query.order_by(message.c.customer_id)
        if after is not None:
            query = query.where(message.c.customer_id > after)
    # joined before the limit, the customers would be read from the first one on
    theirs = query.subquery("theirs")
    order = theirs.c.customer_id.desc() if before is not None else theirs.c.customer_id
    joined = sa.select(theirs, customer.c.phone, customer.c.customer_id.label("known")).join(
        customer, customer.c.customer_id == theirs.c.customer_id, isouter=True
    )
    found = conn.execute(joined.order_by(order)).all()
    more = len(found) > limit
    rows = [_listed(row) for row in found[:limit]]
    if before is not None:
        rows.reverse()
    if not rows:
        return Page([], None, None)
    earlier = more if before is not None else after is not None
    later = True if before is not None else more
    return Page(rows, rows[0].customer_id if earlier else None, rows[-1].customer_id if later else None)


_TIMES = ("queued_at", "sending_at", "unknown_at", "accepted_at", "sent_at", "settled_at")


def _listed(row: sa.Row[Any]) -> Listed:
    return Listed(
        customer_id=row.customer_id,
        customer_known=row.known is not None,
        segment=row.bucket,
        status=row.status,
        tone=message_words.tone(row.status),
        why=message_words.why(row.status, reason_name=row.reason, error=row.error, fact_name=row.fact),
        error_code=row.error_code,
        phone=masked(row.phone),
        sms_segments=row.segments,
        at=max(at for name in _TIMES if (at := getattr(row, name))),
    )
