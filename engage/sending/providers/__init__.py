"""SMS providers: what they have in common, the sandbox, and Twilio."""

from __future__ import annotations

import os
from collections.abc import Callable

from engage.sending.providers.protocol import FoundSms, Outcome, OutgoingSms, Receipt, Reply, SmsProvider
from engage.sending.providers.sandbox import SandboxProvider
from engage.sending.providers.twilio.account import Account

__all__ = ["Account", "FoundSms", "Outcome", "OutgoingSms", "Receipt", "Reply", "SmsProvider", "provider"]


def _account_from_environment() -> Account:
    return Account.from_url(os.environ.get("ENGAGE_SMS_URL"))


def provider(name: str, account: Callable[[], Account] = _account_from_environment) -> SmsProvider:
    """The provider that the setting ``sms_provider`` names; ``account`` is asked only if it needs one.

    Raises:
        InputError: the account is missing or not complete.
    """
    if name == SandboxProvider.name:
        return SandboxProvider()
    # this import takes a quarter of a second, so the sandbox does without it
    from engage.sending.providers.twilio.provider import TwilioProvider  # noqa: PLC0415

    return TwilioProvider(account())
