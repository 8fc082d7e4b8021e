"""Leaves out events that were stored before, in whatever batch, by their event ids."""

from __future__ import annotations

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
    keys = [key for batch in batches for named in batch.event_keys.values() for _, key in named]
    keys += [one.event_key for batch in batches for one in batch.redemptions if one.event_key]
    new = event_ids.claim(conn, keys, as_of)
    if len(new) == len(keys):
        return [*batches]
    return [_without_repeats(batch, new) for batch in batches]


def _without_repeats(batch: Batch, new: set[bytes]) -> Batch:
    """The batch with the events whose keys are ``new``. It takes these keys out of the set."""
    kept: dict[str, Any] = {}
    repeated = 0
    for name, named in batch.event_keys.items():
        places = set()
        for place, key in named:
            if key in new:
                new.remove(key)
            else:
                places.add(place)
        kept[name] = [row for place, row in enumerate(getattr(batch, name)) if place not in places]
        repeated += len(places)
    if not repeated:
        return batch
    return replace(batch, answer=batch.answer | {"duplicates": batch.answer["duplicates"] + repeated}, **kept)
