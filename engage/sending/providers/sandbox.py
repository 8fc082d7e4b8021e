"""The sandbox: accepts every message and sends none. The ledger keeps what would have been sent."""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import count

from engage.sending.providers.protocol import FoundSms, Outcome, OutgoingSms, Reply


class SandboxProvider:
    """Accepts everything, delivers nothing."""

    name = "sandbox"
    claim_size = 2000
    concurrent = False

    def __init__(self) -> None:
        prefix = secrets.token_hex(8)
        self._ids = (f"sandbox-{prefix}-{number}" for number in count(1))

    def send(self, sms: OutgoingSms) -> Reply:
        return Reply(Outcome.ACCEPTED, next(self._ids))

    def find(self, phone: str, since: datetime) -> list[FoundSms]:
        return []
