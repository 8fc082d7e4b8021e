"""Numbering plans: the common numbers whose canonical form is plain to see, in a twentieth of libphonenumber's time.

Each function returns a result only if libphonenumber would return the same, and none if only it can say. A test
compares both over all countries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata

_MOST_DIGITS = 15
"""Digits of a number in E.164 (ITU-T E.164)."""
_CODES = frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
_LITERAL = re.compile("[0-9]+")


@dataclass(frozen=True)
class _Plan:
    """The plan of a country's code: its main country, for codes that several share."""

    code: str
    prefix: str | None
    """The prefix of calls within the country, if it is the same for all."""
    abroad: re.Pattern[str]
    general: _Kind
    plain: Mapping[int, re.Pattern[str]]
    """By their length, the numbers that are certainly valid and have no prefix that libphonenumber would remove."""

    def valid(self, national: str) -> bool:
        """Whether a number is one of ``plain``."""
        pattern = self.plain.get(len(national))
        return pattern is not None and pattern.fullmatch(national) is not None


@dataclass(frozen=True)
class _Kind:
    """The numbers of one kind, such as mobile phones."""

    lengths: tuple[int, ...]
    pattern: re.Pattern[str]

    def fits(self, national: str) -> bool:
        return len(national) in self.lengths and self.pattern.fullmatch(national) is not None


def is_canonical(phone: str) -> bool:
    """Whether a number in E.164 is certainly valid and in its canonical form."""
    code = country_code(phone)
    plan = _plan(code) if code else None
    return plan is not None and plan.valid(phone[len(code) + 1 :])


def from_country(digits: str, country: str) -> str | None:
    """The canonical form of a valid number that is written as within a country, if it is plain to see."""
    plan = _plan_of(country)
    if plan is None or plan.abroad.match(digits):
        return None
    code, prefix = plan.code, plan.prefix
    if prefix and digits.startswith(prefix) and prefix != code and not plan.general.fits(digits):
        national = digits[len(prefix) :]
    elif digits.startswith(code):
        national = digits[len(code) :]
        if plan.general.pattern.fullmatch(digits):
            return None
    else:
        national = digits
    return f"+{code}{national}" if plan.valid(national) else None


def country_code(phone: str) -> str:
    """The digits of a number in E.164 that name its country; empty if they name none."""
    return _code_of(phone[:4])


@lru_cache(10_000)
def _code_of(start: str) -> str:
    """The country's code at the start of a number in E.164."""
    digits = (start[1:end] for end in (2, 3, 4) if start[:1] == "+")
    return next((code for code in digits if code in _CODES), "")


def trunk_prefixes(phone: str, prefixes: tuple[str, ...]) -> list[str]:
    """Those of ``prefixes`` that libphonenumber may remove before this national number; never too few."""
    code = country_code(phone)
    if not code:
        return []
    national, parsing = phone[len(code) + 1 :], _parsing(int(code))
    if _LITERAL.fullmatch(parsing.pattern):
        return [prefix for prefix in prefixes if prefix == parsing.pattern]
    found = [(prefix, parsing.match(prefix + national)) for prefix in prefixes]
    return [prefix for prefix, match in found if match and (parsing.groups or match.end() == len(prefix))]


@cache
def _parsing(code: int) -> re.Pattern[str]:
    """The prefixes of calls within a country."""
    region = phonenumbers.region_code_for_country_code(code)
    plan = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    return re.compile((plan and plan.national_prefix_for_parsing) or "(?!)")


@cache
def _plan(code: str) -> _Plan | None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
    return _plan_of(regions[0])


@cache
def _plan_of(region: str) -> _Plan | None:
    """The plan of a country, if it is the main one of its code."""
    data = PhoneMetadata.metadata_for_region(region)
    if data is None or data.country_code is None or data.leading_digits or data.general_desc is None:
        return None
    if phonenumbers.COUNTRY_CODE_TO_REGION_CODE[data.country_code][0] != region:
        return None
    literal = data.national_prefix_for_parsing == data.national_prefix
    general = _kind(data.general_desc)
    kinds = [_kind(kind) for kind in (data.mobile, data.fixed_line) if kind and kind.national_number_pattern]
    return _Plan(
        str(data.country_code),
        data.national_prefix if literal and _LITERAL.fullmatch(data.national_prefix or "") else None,
        re.compile(data.international_prefix or "(?!)"),
        general,
        {
            length: _plain(_parsing(data.country_code), general, [kind for kind in kinds if length in kind.lengths])
            for length in general.lengths
            if len(str(data.country_code)) + length <= _MOST_DIGITS
        },
    )


def _plain(prefixes: re.Pattern[str], general: _Kind, kinds: Iterable[_Kind]) -> re.Pattern[str]:
    """All conditions on the numbers of a length in one pattern: one by one they take three times as long."""
    of_a_kind = "|".join(kind.pattern.pattern for kind in kinds) or "(?!)"
    return re.compile(rf"(?!0|{prefixes.pattern})(?=(?:{general.pattern.pattern})\Z)(?:{of_a_kind})")


def _kind(description: phonenumbers.PhoneNumberDesc) -> _Kind:
    return _Kind(tuple(description.possible_length), re.compile(description.national_number_pattern or "(?!)"))
