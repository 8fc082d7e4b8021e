"""A draft of segments counted exactly over a past window: who would be in which, and who would move from where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from engage.campaigns import shares, window_customers
from engage.campaigns.window_customers import WindowCustomers
from engage.errors import NotReady
from engage.segments import sql
from engage.settings import Settings
from engage.window import Window

SHOWN = 3
"""Customers of each segment whose text is shown."""
_SHARES = 8
"""Groups of customers by id. The first and the last of each may be shown."""


@dataclass(frozen=True)
class SegmentPreview:
    """A window's customers by their segment as computed, and by their segment with the settings of a draft.

    ``moves`` counts them by both. ``examples`` has a few customers of each segment of the draft, by id.
    """

    computed: Settings
    draft: Settings
    moves: dict[tuple[str, str], int]
    examples: dict[str, tuple[int, ...]]

    @property
    def before(self) -> dict[str, int]:
        """Customers by segment, as computed."""
        return self._by(0, self.computed)

    @property
    def after(self) -> dict[str, int]:
        """Customers by segment, with the draft."""
        return self._by(1, self.draft)

    @property
    def all(self) -> int:
        return sum(self.moves.values())

    @property
    def moved(self) -> int:
        """Customers who would be in another segment."""
        return sum(customers for (now, then), customers in self.moves.items() if now != then)

    def _by(self, side: int, settings: Settings) -> dict[str, int]:
        found = dict.fromkeys(settings.segments.names, 0)
        for move, customers in self.moves.items():
            found[move[side]] += customers
        return found


def messages(settings: Settings, customers: Mapping[str, int]) -> int:
    """The most messages for these counts by segment. Some customers may turn out to be ineligible."""
    return sum(customers.get(name, 0) for name in settings.texted)


def sms_segments(settings: Settings, customers: Mapping[str, int]) -> int:
    """SMS segments of as many messages by segment, each of the longest text and with a longish name."""
    return sum(customers.get(name, 0) * settings.typical_segments(name) for name in settings.texted)


def cost(settings: Settings, customers: Mapping[str, int]) -> Decimal | None:
    """The most that as many messages by segment cost; None without a price."""
    return settings.cost(sms_segments(settings, customers))


def seconds(settings: Settings, customers: Mapping[str, int]) -> float | None:
    """How long as many messages by segment take at the sending rate; None without one."""
    rate = float(settings.messages_per_second)
    return messages(settings, customers) / rate if rate else None


def preview(conn: sa.Connection, window: Window, draft: Settings) -> SegmentPreview:
    """Count the window's customers by their segment, and by their segment under the rules of ``draft``.

    Raises:
        NotReady: the bucket step has not run for the window.
    """
    placed = _in_segments(conn, window)
    computed, rows = placed.settings, placed.rows
    both = sa.select(
        sql.segment(computed.rules, rows, window.end).label("now"),
        sql.segment(draft.rules, rows, window.end).label("then"),
        (rows.c.customer_id % _SHARES).label("share"),
        rows.c.customer_id,
    ).subquery("both")
    known = both.c.customer_id > 0  # an erased customer has a negative id
    query = sa.select(
        both.c.now,
        both.c.then,
        sa.func.count().label("customers"),
        sa.func.min(both.c.customer_id).filter(known).label("first"),
        sa.func.max(both.c.customer_id).filter(known).label("last"),
    ).group_by(both.c.now, both.c.then, both.c.share)
    moves: dict[tuple[str, str], int] = defaultdict(int)
    found: dict[str, set[int]] = defaultdict(set)
    for row in conn.execute(query):
        moves[row.now, row.then] += row.customers
        found[row.then] |= {row.first, row.last} - {None}
    examples = {name: tuple(sorted(ids)[:SHOWN]) for name, ids in found.items()}
    return SegmentPreview(computed, draft, dict(moves), examples)


def is_of_earlier_version(conn: sa.Connection, window: Window) -> bool:
    """Whether a version computed the window that kept only spend, sessions and purchases. One row shows it."""
    rows = window_customers.rows(conn, window)
    found = conn.execute(sa.select(rows.c.registered_at).limit(1)).first()
    return found is not None and found.registered_at is None


def resolved(conn: sa.Connection, window: Window, draft: Settings) -> Settings:
    """The settings of a draft with the numbers that their shares would be in the window.

    Raises:
        NotReady: the bucket step has not run for the window.
    """
    found = _in_segments(conn, window)
    numbers = shares.resolve(conn, found.rows, window, draft, customers=found.customers, used=found.settings)
    return draft.with_resolved(numbers)


def settings_of(conn: sa.Connection, window: Window) -> Settings:
    """The settings by which the window's customers are in segments.

    Raises:
        NotReady: the bucket step has not run for the window.
    """
    return _in_segments(conn, window).settings


def _in_segments(conn: sa.Connection, window: Window) -> WindowCustomers:
    found = window_customers.find(conn, window)
    if found is None:
        raise NotReady(f"The customers of the window {window} are in no segments yet: run its bucket step first.")
    return found
