"""What if: a campaign's buckets under other thresholds, counted exactly over its customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.errors import NotReady
from engage.segments import sql
from engage.settings import Settings, validate
from engage.storage import partitions
from engage.storage.schema import customer_activity
from engage.window import Window

THRESHOLDS = ("low_spend_threshold", "high_activity_threshold")


@dataclass(frozen=True)
class WhatIf:
    """A campaign's buckets as computed, and as they would be with ``settings``.

    ``moves`` counts customers by their bucket as computed and their bucket with ``settings``.
    """

    computed: Settings
    settings: Settings
    moves: dict[tuple[str, str], int]

    @property
    def before(self) -> dict[str, int]:
        """Customers by bucket, as computed."""
        return {
            name: sum(self.moves.get((name, then), 0) for then in self.settings.segments.names)
            for name in self.computed.segments.names
        }

    @property
    def after(self) -> dict[str, int]:
        """Customers by bucket, with ``settings``."""
        return {
            name: sum(self.moves.get((now, name), 0) for now in self.computed.segments.names)
            for name in self.settings.segments.names
        }

    @property
    def moved(self) -> int:
        """Customers who would change buckets."""
        return sum(customers for (now, then), customers in self.moves.items() if now != then)

    def messages(self, buckets: Mapping[str, int]) -> int:
        """The most messages for these counts. Some customers may turn out to be ineligible."""
        return sum(buckets.get(name, 0) for name in self.settings.texted)

    def segments(self, buckets: Mapping[str, int]) -> int:
        """SMS segments of ``messages``, with the campaign's texts and a longish name."""
        return sum(buckets.get(name, 0) * self.settings.typical_segments(name) for name in self.settings.texted)

    def cost(self, buckets: Mapping[str, int]) -> Decimal | None:
        """The most that ``messages`` cost, at the campaign's price; None without a price."""
        return self.computed.cost(self.segments(buckets))

    def seconds(self, buckets: Mapping[str, int]) -> float | None:
        """How long ``messages`` take at the campaign's rate; None without one."""
        rate = float(self.computed.messages_per_second)
        return self.messages(buckets) / rate if rate else None


def _by(names: Sequence[str], moves: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Customers by the first name of a move, in the order of ``names``."""
    return {name: sum(count for (first, _), count in moves.items() if first == name) for name in names}


def what_if(conn: sa.Connection, window: Window, thresholds: Mapping[str, str]) -> WhatIf:
    """Count the window's customers by their bucket, and by their bucket under ``thresholds``.

    Raises:
        NotReady: the bucket step has not run for the window.
        SettingsError: a threshold is not allowed.
    """
    found = campaign.find(conn, window)
    if found is None or found.settings is None or found.buckets is None:
        raise NotReady(f"The customers of the window {window} are in no buckets yet: run its bucket step first.")
    settings = validate(found.settings.snapshot() | dict(thresholds))
    rows = partitions.of(customer_activity, window)
    both = sa.select(
        sql.segment(found.settings.rules, rows, window.end).label("now"),
        sql.segment(settings.rules, rows, window.end).label("then"),
    ).subquery("both")
    query = sa.select(both.c.now, both.c.then, sa.func.count()).group_by(both.c.now, both.c.then)
    return WhatIf(found.settings, settings, {(row[0], row[1]): row[2] for row in conn.execute(query)})
