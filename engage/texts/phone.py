"""Phone numbers: their canonical form, keyed hash, mask, type and time zones.

A phone is stored and hashed in one form only. Otherwise an opt-out, a suppression or a cap on one spelling of a number
would miss the other. ``parse`` and ``canonical`` make that form, by Google's libphonenumber.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType, timezone

from engage.errors import InputError
from engage.statuses import SkipReason
from engage.texts import phone_plans

E164 = r"^\+[1-9][0-9]{1,14}$"
"""The form of an E.164 number, for Python, Postgres and JSON schemas alike (ITU-T E.164: at most 15 digits)."""
PHONE_HASH_BYTES = 16
_E164, _DIGITS = re.compile(E164), re.compile("[0-9]{4,17}")
_BLOCK = 64
"""Bytes of a block of SHA-256."""
UNASSIGNED = "+999"
"""The country code of synthetic phones. It is assigned to no country (ITU-T E.164, list of assigned country codes)."""

_TEXTED = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
_NO_COUNTRY = phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
_TRUNK_PREFIXES = ("0", "1", "8", "06")
_SIGNS = dict.fromkeys(map(ord, " \u00a0\u202f\t().-/\u2010\u2011\u2012\u2013"))
"""What people write between the digits of a number."""


def phone_hash(phone: str, key: bytes) -> bytes:
    """The phone as 16 bytes that only a holder of ``key`` can recompute: HMAC-SHA-256, truncated (RFC 2104, §5)."""
    inner, outer = _hmac_halves(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(phone.encode())
    outer.update(inner.digest())
    return outer.digest()[:PHONE_HASH_BYTES]


@lru_cache(1)
def _hmac_halves(key: bytes) -> tuple[hashlib._Hash, ...]:
    """The inner and the outer hash of HMAC (RFC 2104, §2). A copy is a quarter of the work of reading the key anew."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return tuple(hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))


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


def canonical(text: str) -> str | None:
    """The form in which a number is stored, whatever its spelling; None if the text is not of the form E.164.

    Some apps and people leave in the prefix of calls within a country: +4407400123456 is +447400123456. The number need
    not exist. A number of no known country is its own canonical form.
    """
    if not _E164.fullmatch(text):
        return None
    number = _read(text)
    return _written(number) if number else text


def parse(text: str) -> str:
    """The canonical form of a valid number of any type.

    Raises:
        InputError: the text is not of the form E.164, or the number is not valid in the plan of its country.
    """
    in_form = _E164.fullmatch(text)
    if in_form and phone_plans.is_canonical(text):
        return text
    number = _read(text) if in_form else None
    phone = _written(number) if number else text
    unfit = _unfit(number) if phone == text else not_textable(phone)  # to read a number takes the longest
    if unfit is SkipReason.INVALID_PHONE:
        mexico = re.fullmatch(r"\+521[0-9]{10}", text)
        hint = "; Mexico dropped the 1 after +52 in 2019, so leave it out" if mexico else ""
        raise InputError(f"It takes a valid phone number in E.164, such as +12025550123{hint}.")
    return phone


def numbers(text: str) -> tuple[str, ...]:
    """The canonical phone numbers in ``text``, which commas separate, each once.

    Raises:
        InputError: one of them is no number that takes texts.
    """
    given = [one.strip() for one in text.split(",")] if text.strip() else []
    for one in given:
        number = canonical(one)
        if number is None or not_textable(number):
            raise InputError(f"{one!r} is not the number of a mobile phone in E.164, such as +12025550123")
    return tuple(dict.fromkeys(canonical(one) or one for one in given))


def parse_any(text: str, country: str | None) -> str:
    """The canonical form of a valid number as people write it: with blanks, brackets, dots, dashes and slashes.

    ``country`` is an ISO 3166 code such as US, for numbers without a country's code.

    Raises:
        InputError: other characters, no country to read the number by, or no valid number.
    """
    plain = text if text.removeprefix("+").isdigit() else text.translate(_SIGNS)
    if plain.startswith("+"):
        return parse(plain)
    if not _DIGITS.fullmatch(plain):
        raise InputError("It takes a phone number in digits, such as +12025550123.")
    if country is None:
        raise InputError("It takes + and the code of the country first, such as +12025550123; or name the country.")
    if found := phone_plans.from_country(plain, country):
        return found
    try:
        return parse(_written(phonenumbers.parse(plain, country)))
    except phonenumbers.NumberParseException:
        raise InputError(f"It is no valid phone number of the country {country}.") from None


def country(code: str) -> str:
    """A country by its ISO 3166 code.

    Raises:
        InputError: no country with phone numbers has this code.
    """
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    raise InputError(f"{code[:40]!r} is no country. It takes an ISO 3166 code in capital letters, such as US or DE.")


def trunk_spellings(phone: str) -> list[str]:
    """Other texts with the canonical form ``phone``, as versions before migration 0011 stored and hashed them."""
    return [spelling for spelling in possible_trunk_spellings(phone) if canonical(spelling) == phone]


def possible_trunk_spellings(phone: str) -> list[str]:
    """The ``trunk_spellings`` of a phone in canonical form, and perhaps more, in a twentieth of the time."""
    code = phone_plans.country_code(phone)
    national = phone[len(code) + 1 :]
    return [f"+{code}{prefix}{national}" for prefix in phone_plans.trunk_prefixes(phone, _TRUNK_PREFIXES)]


def not_textable(phone: str) -> SkipReason | None:
    """Why a phone gets no text: the number is not valid or not canonical, or its type is not one of mobile phones.

    Landlines, toll-free, premium-rate, personal and satellite numbers are not texted. Countries such as the United
    States do not tell landlines from mobiles; all their numbers are texted.
    """
    number = _read(phone)
    return _unfit(number) if number and _written(number) == phone else SkipReason.INVALID_PHONE


def _unfit(number: phonenumbers.PhoneNumber | None) -> SkipReason | None:
    if number is None:
        return SkipReason.INVALID_PHONE
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:
        return SkipReason.INVALID_PHONE
    of_a_country = phonenumbers.region_code_for_country_code(number.country_code or 0) != _NO_COUNTRY
    return None if kind in _TEXTED and of_a_country else SkipReason.NOT_MOBILE


def zone_names(phone: str) -> tuple[str, ...]:
    """The IANA names of the time zones that a number may be in; empty if the number is not known."""
    number = _read(phone)
    return tuple(timezone.time_zones_for_number(number)) if number else ()


def _read(phone: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return None


def _written(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
