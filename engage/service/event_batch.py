"""A batch of events on its way into the database, and its result."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

Key = tuple[str, str]


class Redemption(NamedTuple):
    """An event that reports a code as redeemed, and its place in the batch, from 0."""

    place: int
    code: str
    occurred_at: datetime
    event_key: bytes | None = None
    """Of the event's id, if it has one."""


@dataclass(slots=True)
class Batch:
    """The valid events of one request, and the answer to give once they are stored."""

    owner: str
    """The owner of the client's API key. Two owners may use the same idempotency key."""
    idempotency_key: str
    fingerprint: bytes
    """SHA-256 of the request. The same key with another fingerprint is refused."""
    answer: dict[str, Any]
    sessions: list[tuple[int, int]] = field(default_factory=list)
    """Customer id, microseconds since 2000."""
    purchases: list[tuple[int, int, int]] = field(default_factory=list)
    """Customer id, microseconds since 2000, cents."""
    refunds: list[tuple[int, int, int]] = field(default_factory=list)
    """As ``purchases``."""
    app_events: list[tuple[int, datetime, str, str]] = field(default_factory=list)
    """Customer id, time, kind, item id."""
    redemptions: list[Redemption] = field(default_factory=list)
    event_keys: defaultdict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    """By the name of a field above: the places of its events with an id, from 0, with the ids' keys. Redemptions have
    their own."""
    atomic: bool = False
    """Whether nothing is stored if one event is wrong."""

    @property
    def key(self) -> Key:
        return self.owner, self.idempotency_key

    def __len__(self) -> int:
        """The events, rejected ones included: all of them take memory while the batch waits."""
        return int(self.answer["accepted"]) + len(self.answer["rejected"])


@dataclass(frozen=True, slots=True)
class Taken:
    """The result of a batch: the first answer to its key, or None if the key belongs to another batch."""

    answer: dict[str, Any] | None
    stored: Batch | None = None
    """The batch without its repeated events, if this transaction stores it."""
    refused: list[dict[str, Any]] | None = None
    """What is wrong with the events of a batch that was not stored, because of its offer codes."""
