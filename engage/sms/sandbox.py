"""The provider that texts nobody: it accepts every message, and the ledger keeps what would have been sent."""

from __future__ import annotations

import secrets
from itertools import count

from engage.sms.protocol import OutgoingSms


class SandboxProvider:
    """Accepts everything, delivers nothing."""

    name = "sandbox"
    claim_size = 2000

    def __init__(self) -> None:
        prefix = secrets.token_hex(8)
        self._ids = (f"sandbox-{prefix}-{number}" for number in count(1))

    def send(self, sms: OutgoingSms) -> str:
        return next(self._ids)
