"""How a text message leaves the house."""

from __future__ import annotations

import os
from collections.abc import Callable

from engage.sending.providers.account import Account
from engage.sending.providers.protocol import FoundSms, Outcome, OutgoingSms, Reply, SmsProvider
from engage.sending.providers.sandbox import SandboxProvider

__all__ = ["Account", "FoundSms", "Outcome", "OutgoingSms", "Reply", "SmsProvider", "provider"]


def _account_from_environment() -> Account:
    return Account.from_url(os.environ.get("ENGAGE_SMS_URL"))


def provider(name: str, account: Callable[[], Account] = _account_from_environment) -> SmsProvider:
    """The provider that the setting ``sms_provider`` names; ``account`` is asked only if it needs one.

    Raises:
        InputError: the account is missing or not complete.
    """
    if name == SandboxProvider.name:
        return SandboxProvider()
    # a quarter of a second to import, which the sandbox need not wait for
    from engage.sending.providers.twilio import TwilioProvider  # noqa: PLC0415

    return TwilioProvider(account())
