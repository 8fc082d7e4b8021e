"""Phone numbers: their form, keyed hash, mask, validity and time zones."""

from __future__ import annotations

import hmac
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from engage.errors import InputError

E164 = r"^\+[1-9][0-9]{1,14}$"
"""The form of an E.164 number, for Python, Postgres and JSON schemas alike (ITU-T E.164: at most 15 digits)."""
PHONE_HASH_BYTES = 16


def phone_hash(phone: str, key: bytes) -> bytes:
    """The phone as 16 bytes that only a holder of ``key`` can recompute: HMAC-SHA-256, truncated (RFC 2104, §5)."""
    return hmac.digest(key, phone.encode(), "sha256")[:PHONE_HASH_BYTES]


def hash_key(text: str | None) -> bytes:
    """The key of ``phone_hash`` from the text of ``ENGAGE_HASH_KEY``.

    Raises:
        InputError: missing, or shorter than 32 characters. A short key could be found by trial.
    """
    if text is None or len(text) < 32:
        raise InputError(
            f"ENGAGE_HASH_KEY {'is not set' if not text else f'has {len(text)} characters'}; it takes a secret of 32 "
            "or more, which stays the same for the life of a database. Make one with: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return text.encode()


def masked(phone: str | None) -> str:
    """A phone number as logs and pages may show it: its last two digits."""
    return f"…{phone[-2:]}" if phone else ""


def is_valid(phone: str) -> bool:
    """Whether an E.164 number is valid in the numbering plan of its country."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return False


def zones(phone: str, time_zone: str | None) -> tuple[ZoneInfo, ...]:
    """The time zones that a customer may be in: ``time_zone`` if it exists, else all zones of the phone number.

    ``time_zone`` is an IANA name. The result is empty if neither is known.
    """
    if time_zone and (known := _zone(time_zone)):
        return (known,)
    try:
        names = timezone.time_zones_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return ()
    found = [_zone(name) for name in names]
    return tuple(zone for zone in found if zone) if all(found) else ()


@lru_cache(maxsize=1000)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
