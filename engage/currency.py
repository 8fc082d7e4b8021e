"""The currency of every amount: one for the whole installation, with cents."""

from __future__ import annotations

import os

from engage.errors import InputError

DEFAULT = "USD"


def currency() -> str:
    """The ISO 4217 code from the environment variable ``ENGAGE_CURRENCY``, by default USD.

    Raises:
        InputError: the variable holds anything else than three capital letters.
    """
    code = os.environ.get("ENGAGE_CURRENCY") or DEFAULT
    if len(code) != 3 or not code.isascii() or not code.isupper() or not code.isalpha():
        raise InputError(f"ENGAGE_CURRENCY is {code!r}; it takes an ISO 4217 code such as USD.")
    return code
