"""Phone numbers: how they are written, hashed, masked, and where in the world they may be."""

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
        InputError: missing, or too short to keep anybody from trying all numbers.
    """
    if text is None or len(text) < 32:
        raise InputError(
            f"ENGAGE_HASH_KEY {'is not set' if not text else f'has {len(text)} characters'}; it takes a secret of 32 "
            "or more, always the same for one database. Make one with: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return text.encode()


def masked(phone: str | None) -> str:
    """What a person may see of a phone number: its last two digits."""
    return f"…{phone[-2:]}" if phone else ""


def is_valid(phone: str) -> bool:
    """Whether a number in E.164 can be somebody's, by the numbering plan of its country."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return False


def zones(phone: str, time_zone: str | None) -> tuple[ZoneInfo, ...]:
    """The time zones that the phone's owner may be in: the one they gave, else all that the number can be in.

    Empty when there is no telling. ``time_zone`` is an IANA name; one that does not exist counts as not given.
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
