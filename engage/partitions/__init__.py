"""The only place with partition DDL: ``events`` for the raw logs, ``results`` for what campaigns compute and send."""

from engage.partitions.ddl import fresh_name, of, partition_name, retry_lock
from engage.partitions.events import (
    HASH_MODULUS,
    build_events,
    claim_share,
    discard_events,
    ensure,
    ensure_windows,
    in_share,
    lock_customers,
    lock_events,
    lock_seeding,
    swap_in_events,
    wait_for_seeds,
)
from engage.partitions.results import build, clear, discard, replace, swap_in

__all__ = [
    "HASH_MODULUS",
    "build",
    "build_events",
    "claim_share",
    "clear",
    "discard",
    "discard_events",
    "ensure",
    "ensure_windows",
    "fresh_name",
    "in_share",
    "lock_customers",
    "lock_events",
    "lock_seeding",
    "of",
    "partition_name",
    "replace",
    "retry_lock",
    "swap_in",
    "swap_in_events",
    "wait_for_seeds",
]
