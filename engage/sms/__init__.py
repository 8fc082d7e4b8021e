"""How a text message leaves the house."""

from __future__ import annotations

from engage.sms.protocol import OutgoingSms, SmsProvider
from engage.sms.sandbox import SandboxProvider

__all__ = ["OutgoingSms", "SmsProvider", "provider"]

_PROVIDERS: dict[str, type[SmsProvider]] = {SandboxProvider.name: SandboxProvider}


def provider(name: str) -> SmsProvider:
    """The provider that the setting ``sms_provider`` names."""
    return _PROVIDERS[name]()
