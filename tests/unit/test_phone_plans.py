"""Numbering plans read a number only as libphonenumber does."""

import random

import phonenumbers
import pytest
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from engage.errors import InputError
from engage.texts import phone, phone_plans

KINDS = [PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE, PhoneNumberType.VOIP]
COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)
NUMBERS = 12


def by_the_library(text, country=None):
    """The canonical form of a valid number, or None."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    again = phonenumbers.parse(written)
    canonical = phonenumbers.format_number(again, PhoneNumberFormat.E164) == written
    valid = canonical and phonenumbers.number_type(again) != PhoneNumberType.UNKNOWN
    return written if valid and len(written) <= 16 else None


def national_numbers(country):
    """Numbers near the plan's examples: some digits changed, one left out or added, prefixes before them."""
    draw = random.Random(country)
    code = str(phonenumbers.country_code_for_region(country))
    for _ in range(NUMBERS):
        if (example := phonenumbers.example_number_for_type(country, draw.choice(KINDS))) is None:
            continue
        digits = list(phonenumbers.national_significant_number(example))
        for _ in range(draw.randrange(5)):
            digits[draw.randrange(len(digits))] = str(draw.randrange(10))
        text = "".join(digits)[: len(digits) - (draw.random() < 0.1)] + draw.choice(["", "", "", "7"])
        yield draw.choice(["", "", "", "0", "1", "8", "06", code, "00" + code]) + text


@pytest.mark.parametrize("country", COUNTRIES)
def test_a_number_is_read_as_the_library_reads_it(country):
    code = phonenumbers.country_code_for_region(country)
    prefix = PhoneMetadata.metadata_for_region(country).national_prefix or ""
    for national in national_numbers(country):
        spelled = f"+{code}{national}"
        if phone_plans.is_canonical(spelled):
            assert by_the_library(spelled) == spelled
        for digits in (national, prefix + national, f"{code}{national}"):
            found = phone_plans.from_country(digits, country)
            assert found in (None, by_the_library(digits, country))
        if (canonical := by_the_library(spelled)) is not None:
            assert set(phone.trunk_spellings(canonical)) <= set(phone.possible_trunk_spellings(canonical))


def test_common_numbers_are_plain_to_see():
    assert phone_plans.is_canonical("+491701234567")
    assert phone_plans.is_canonical("+12025550123")
    assert phone_plans.from_country("01701234567", "DE") == "+491701234567"
    assert phone_plans.from_country("12025550123", "US") == "+12025550123"


@pytest.mark.parametrize(
    ("text", "country", "found"),
    [
        ("(202) 555-0123", "US", "+12025550123"), ("+1 202.555.0123", None, "+12025550123"),
        ("0170 / 123 45 67", "DE", "+491701234567"), ("+44 (0)7400 123456", "DE", "+447400123456"),
        ("0044 7400 123456", "DE", "+447400123456"), ("12025550123", "US", "+12025550123"),
        ("1701234567", "DE", "+491701234567"), ("06 12 34 56 78", "FR", "+33612345678"),
        ("312 345 6789", "IT", "+393123456789"), ("06 6982 0000", "IT", "+390669820000"),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(text, country, found):
    assert phone.parse_any(text, country) == found


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("0170 1234567", None), ("1-800-FLOWERS", "US"), ("+49 170 1234567 ext. 5", "DE"), ("12", "DE"), ("", "DE"),
        ("tel:+4917012", "DE"), ("٠١٧٠١٢٣٤٥٦٧", "DE"), ("0" * 30, "DE"),
    ],
)  # fmt: skip
def test_other_texts_are_no_numbers(text, country):
    with pytest.raises(InputError):
        phone.parse_any(text, country)


def test_a_country_has_a_code_in_capital_letters():
    assert phone.country("DE") == "DE"
    for code in ("de", "XX", "Germany", "49"):
        with pytest.raises(InputError, match="is no country"):
            phone.country(code)
