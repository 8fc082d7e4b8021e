"""The provider that texts nobody: it accepts every message, and the ledger keeps what would have been sent."""

from __future__ import annotations

from uuid import uuid4

from engage.sms.protocol import OutgoingSms


class SandboxProvider:
    """Accepts everything, delivers nothing."""

    name = "sandbox"
    claim_size = 1000

    def send(self, sms: OutgoingSms) -> str:
        return f"sandbox-{uuid4()}"
