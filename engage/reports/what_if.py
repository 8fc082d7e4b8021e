"""What if: a campaign's buckets under other thresholds, counted exactly over its customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.segments import BUCKETS, TEXTED, rule
from engage.errors import NotReady
from engage.settings import Settings, validate
from engage.storage import partitions
from engage.storage.schema import customer_bucket
from engage.texts.template import Template
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
        return {name: sum(self.moves.get((name, then), 0) for then in BUCKETS) for name in BUCKETS}

    @property
    def after(self) -> dict[str, int]:
        """Customers by bucket, with ``settings``."""
        return {name: sum(self.moves.get((now, name), 0) for now in BUCKETS) for name in BUCKETS}

    @property
    def moved(self) -> int:
        """Customers who would change buckets."""
        return sum(customers for (now, then), customers in self.moves.items() if now != then)

    def messages(self, buckets: Mapping[str, int]) -> int:
        """The most messages for these counts. Some customers may turn out to be ineligible."""
        return sum(buckets[name] for name in TEXTED)

    def segments(self, buckets: Mapping[str, int]) -> int:
        """SMS segments of ``messages``, with the campaign's texts and a longish name."""
        sizes = {name: Template.parse(self.computed.message(name)).typical_segments() for name in TEXTED}
        return sum(buckets[name] * sizes[name] for name in TEXTED)

    def cost(self, buckets: Mapping[str, int]) -> Decimal | None:
        """The most that ``messages`` cost, at the campaign's price; None without a price."""
        return self.computed.cost(self.segments(buckets))

    def seconds(self, buckets: Mapping[str, int]) -> float | None:
        """How long ``messages`` take at the campaign's rate; None without one."""
        rate = float(self.computed.messages_per_second)
        return self.messages(buckets) / rate if rate else None


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
    rows = partitions.of(customer_bucket, window)
    both = sa.select(rows.c.bucket, rule(settings, rows).label("then")).subquery("both")
    query = sa.select(both.c.bucket, both.c.then, sa.func.count()).group_by(both.c.bucket, both.c.then)
    return WhatIf(found.settings, settings, {(row[0], row[1]): row[2] for row in conn.execute(query)})
