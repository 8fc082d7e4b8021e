"""Who a customer is to a phone network: the keyed hash of a phone number."""

from __future__ import annotations

import hmac

from engage.errors import InputError

PHONE_HASH_BYTES = 16


def phone_hash(phone: str, key: bytes) -> bytes:
    """The phone as 16 bytes that only a holder of ``key`` can recompute: HMAC-SHA-256, truncated (RFC 2104, §5)."""
    return hmac.digest(key, phone.encode(), "sha256")[:PHONE_HASH_BYTES]


def hash_key(text: str | None) -> bytes:
    """The key of ``phone_hash`` from the text of ``ENGAGE_HASH_KEY``.

    Raises:
        InputError: missing, or too short to keep anybody from trying all numbers.
    """
    if text is None or len(text) < 32:
        raise InputError(
            f"ENGAGE_HASH_KEY {'is not set' if not text else f'has {len(text)} characters'}; it takes a secret of 32 "
            "or more, always the same for one database. Make one with: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return text.encode()
