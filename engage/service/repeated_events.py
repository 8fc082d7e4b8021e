"""Leaves out events that were stored before, in whatever batch, by their event ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.service.event_batch import Batch
from engage.storage import event_ids


def without_repeats(conn: sa.Connection, batches: Sequence[Batch], as_of: datetime) -> list[Batch]:
    """The batches without their repeated events, which each answer counts as ``duplicates``.

    It claims the ids of all batches at once, so that two transactions cannot deadlock. Of two events with one id the
    first is stored. Without an id there is no query. The given batches stay as they are, because a transaction that
    fails is tried again with them.
    """
    keys = {event.key for batch in batches for event in batch.event_keys}
    redeemed = {one.event_key for batch in batches for one in batch.redemptions if one.event_key}
    if not keys and not redeemed:
        return [*batches]
    new = event_ids.claim(conn, keys | redeemed, as_of)
    return [_without_repeats(batch, new) if batch.event_keys else batch for batch in batches]


def _without_repeats(batch: Batch, new: set[str]) -> Batch:
    """The batch with the events whose keys are ``new``. It takes these keys out of the set."""
    repeated: dict[str, set[int]] = defaultdict(set)
    for event in batch.event_keys:
        if event.key in new:
            new.remove(event.key)
        else:
            repeated[event.rows].add(event.place)
    if not repeated:
        return batch
    kept: dict[str, Any] = {
        name: [row for place, row in enumerate(getattr(batch, name)) if place not in places]
        for name, places in repeated.items()
    }
    duplicates = batch.answer["duplicates"] + sum(map(len, repeated.values()))
    return replace(batch, answer=batch.answer | {"duplicates": duplicates}, **kept)
