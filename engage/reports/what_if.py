"""What other thresholds would have made of a campaign, counted exactly over its customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """A campaign as it was computed, and as it would be by ``settings``.

    ``moves`` are the customers of each bucket by the bucket they would be in.
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
        """Customers by bucket, as they would be."""
        return {name: sum(self.moves.get((now, name), 0) for now in BUCKETS) for name in BUCKETS}

    @property
    def moved(self) -> int:
        """Customers who would be in another bucket."""
        return sum(customers for (now, then), customers in self.moves.items() if now != then)

    def messages(self, buckets: Mapping[str, int]) -> int:
        """How many messages at most: those of customers who may not be texted are among them."""
        return sum(buckets[name] for name in TEXTED)

    def segments(self, buckets: Mapping[str, int]) -> int:
        """How many segments these take, at the campaign's texts and with names of usual length."""
        sizes = {name: Template.parse(self.computed.message(name)).typical_segments() for name in TEXTED}
        return sum(buckets[name] * sizes[name] for name in TEXTED)


def what_if(conn: sa.Connection, window: Window, thresholds: Mapping[str, str]) -> WhatIf:
    """Count the window's customers by the bucket they are in and the one that ``thresholds`` would put them in.

    Raises:
        NotReady: the window's customers are in no buckets yet.
        SettingsError: a threshold that is not allowed.
    """
    found = campaign.find(conn, window)
    if found is None or found.settings is None or found.buckets is None:
        raise NotReady(f"The customers of the window {window} are in no buckets yet: run its bucket step first.")
    settings = validate(found.settings.snapshot() | dict(thresholds))
    rows = partitions.of(customer_bucket, window)
    both = sa.select(rows.c.bucket, rule(settings, rows).label("then")).subquery("both")
    query = sa.select(both.c.bucket, both.c.then, sa.func.count()).group_by(both.c.bucket, both.c.then)
    return WhatIf(found.settings, settings, {(row[0], row[1]): row[2] for row in conn.execute(query)})
