"""One attempt of a task to compute something on Spark, by whose name a later attempt finds what it has left.

A client that is killed does not end its query on the server. So each attempt has a session and a tag of its own, and
the next one interrupts those before it. Both follow from a secret and the task's name. So no other client of the server
can guess them, and two installations do not meet.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

FORMER = 10
"""How many attempts before it an attempt looks for."""


@dataclass(frozen=True)
class Attempt:
    """Attempt ``number``, from 1 on, of the task ``name``; ``key`` is a secret of the installation."""

    key: bytes = field(repr=False)
    name: str
    number: int = 1

    @property
    def session(self) -> str:
        """The id of its session on the server, a UUID."""
        return str(uuid.UUID(bytes=self._digest("session")[:16], version=4))

    @property
    def tag(self) -> str:
        """The tag of its queries on the server."""
        return f"engage-{self._digest('tag').hex()[:16]}-{self.number}"

    def former(self) -> Iterator[Attempt]:
        """The attempts before it, the last one first."""
        first = max(1, self.number - FORMER)
        return (Attempt(self.key, self.name, number) for number in range(self.number - 1, first - 1, -1))

    def _digest(self, purpose: str) -> bytes:
        return hmac.digest(self.key, f"spark {purpose} {self.name} {self.number}".encode(), hashlib.sha256)
