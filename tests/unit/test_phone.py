from __future__ import annotations

import hmac
import re

import phonenumbers
import pytest

from engage.errors import InputError
from engage.statuses import SkipReason
from engage.texts.phone import (
    E164,
    PHONE_HASH_BYTES,
    canonical,
    hash_key,
    masked,
    not_textable,
    parse,
    phone_hash,
    trunk_spellings,
)
from tests.phones import TRUNK

KEY = b"k" * 32


def test_a_phone_hash_is_hmac_sha_256_cut_to_16_bytes():
    # the well-known test vector of HMAC-SHA-256
    digest = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert phone_hash("The quick brown fox jumps over the lazy dog", b"key") == bytes.fromhex(digest)[:16]


@pytest.mark.parametrize("length", [1, 32, 63, 64, 65, 200])
def test_a_phone_hash_is_hmac_under_a_key_of_any_length(length):
    key, number = b"k" * length, "+999000000001"
    assert phone_hash(number, key) == hmac.digest(key, number.encode(), "sha256")[:16]


def test_a_phone_hash_is_the_same_every_time_and_as_long_as_it_says():
    assert phone_hash("+999000000001", KEY) == phone_hash("+999000000001", KEY)
    assert len(phone_hash("+999000000001", KEY)) == PHONE_HASH_BYTES == 16


def test_different_phones_have_different_hashes():
    assert len({phone_hash(f"+999{number:09}", KEY) for number in range(1000)}) == 1000


def test_the_same_phone_has_another_hash_under_another_key():
    assert phone_hash("+999000000001", KEY) != phone_hash("+999000000001", b"l" * 32)


@pytest.mark.parametrize(
    ("text", "fault"),
    [(None, "is not set"), ("", "is not set"), ("short", "has 5 characters"), ("x" * 31, "has 31 characters")],
)
def test_a_missing_or_short_hash_key_is_refused_with_a_way_to_make_one(text, fault):
    with pytest.raises(InputError) as raised:
        hash_key(text)
    assert str(raised.value).startswith(f"ENGAGE_HASH_KEY {fault}; it takes a secret of 32 or more")
    assert "secrets.token_hex(32)" in str(raised.value)


def test_the_error_does_not_show_the_key():
    with pytest.raises(InputError) as raised:
        hash_key("too-short-but-secret")
    assert "too-short-but-secret" not in str(raised.value)


@pytest.mark.parametrize("text", ["x" * 32, "0123456789abcdef" * 4, "é" * 32])
def test_a_hash_key_of_32_characters_or_more_is_used_as_it_is(text):
    assert hash_key(text) == text.encode()


@pytest.mark.parametrize(("phone", "shown"), [("+12025550123", "…23"), (None, ""), ("", "")])
def test_a_masked_phone_shows_its_last_two_digits(phone, shown):
    assert masked(phone) == shown


# --- one phone, one form


def examples():
    """The library's own example of each type of number in each region, in E.164."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in range(11):
            if number := phonenumbers.example_number_for_type(region, kind):
                yield phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@pytest.mark.parametrize(("spelling", "phone"), TRUNK)
def test_a_phone_has_one_canonical_form_however_it_is_spelled(spelling, phone):
    assert canonical(spelling) == canonical(phone) == phone
    assert parse(spelling) == parse(phone) == phone
    assert spelling in trunk_spellings(phone)


def test_a_canonical_number_is_its_own_canonical_form():
    assert [phone for phone in examples() if parse(phone) != phone] == []


def test_the_spellings_of_a_number_are_other_texts_with_the_same_canonical_form():
    checked = {phone: trunk_spellings(phone) for phone in examples()}
    assert [p for p, others in checked.items() if any(canonical(o) != p or o == p for o in others)] == []
    assert sum(map(bool, checked.values())) > 500


@pytest.mark.parametrize("phone", ["+999000000001", "+39061234567", "+19005550123", "nonsense", ""])
def test_a_number_without_another_spelling_has_none(phone):
    assert all(canonical(other) == phone for other in trunk_spellings(phone))
    assert "+999" not in "".join(trunk_spellings(phone))


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("+999000000001", "+999000000001"),  # no country's, so nothing is known of it
        ("+1202555", "+1202555"),
        ("2025550123", None),
        ("+0202555", None),
        ("+1 202 555 0123", None),
        ("+12025550123\n", None),
        ("+1202555012345678", None),
        ("+١٢٠٢٥٥٥٠١٢٣", None),
        ("+1800FLOWERS", None),
        ("tel:+12025550123", None),
        ("+12025550123;ext=5", None),
        ("\ud800", None),
        ("", None),
        ("+", None),
    ],
)
def test_a_text_that_is_no_number_has_no_canonical_form_and_an_unknown_number_its_own(text, form):
    assert canonical(text) == form
    with pytest.raises(InputError):
        parse(text)


@pytest.mark.parametrize("phone", ["+12025550123", "+61491570156", "+442079460123", "+19005550123"])
def test_a_valid_number_of_any_type_may_be_stored(phone):
    assert parse(phone) == phone


@pytest.mark.parametrize(
    "phone",
    ["+999000000001", "+1202555", "+1911", "+44999", "+33112", "2025550123", "", "+", "a number", "+525512345678\n"],
)
def test_a_phone_that_exists_nowhere_is_refused_with_a_sentence_that_does_not_repeat_it(phone):
    with pytest.raises(InputError) as raised:
        parse(phone)
    assert str(raised.value) == "It takes a valid phone number in E.164, such as +12025550123."


def test_the_sentence_says_what_mexico_dropped():
    assert parse("+525512345678") == "+525512345678"
    with pytest.raises(InputError, match="Mexico dropped the 1 after \\+52"):
        parse("+5215512345678")


# --- types of numbers


@pytest.mark.parametrize(
    ("phone", "reason"),
    [
        ("+12025550123", None),  # fixed line or mobile: North America does not tell them apart
        ("+447400123456", None),
        ("+61491570156", None),
        ("+5491123456789", None),
        ("+442079460123", "not_mobile"),  # a landline
        ("+39061234567", "not_mobile"),
        ("+541123456789", "not_mobile"),
        ("+18005550123", "not_mobile"),  # toll-free
        ("+448081570000", "not_mobile"),
        ("+19005550123", "not_mobile"),  # premium rate
        ("+979123456789", "not_mobile"),
        ("+881612345678", "not_mobile"),  # satellite
        ("+870773123456", "not_mobile"),
        ("+883510012345", "not_mobile"),  # a network without a country
        ("+447012345678", "not_mobile"),  # a personal number
        ("+1911", "invalid_phone"),
        ("+44999", "invalid_phone"),
        ("+1202555", "invalid_phone"),
        ("+999000000001", "invalid_phone"),
        ("+4407400123456", "invalid_phone"),  # not canonical, so it would be hashed as another phone
        ("2025550123", "invalid_phone"),
        ("", "invalid_phone"),
        ("+", "invalid_phone"),
        ("not a number", "invalid_phone"),
    ],
)
def test_only_a_number_that_may_be_a_mobile_is_texted(phone, reason):
    assert not_textable(phone) == (reason and SkipReason(reason))


def test_every_number_of_a_texted_type_is_canonical_e164():
    texted = [phone for phone in examples() if not_textable(phone) is None]
    assert len(texted) > 200
    assert all(re.fullmatch(E164, phone) and canonical(phone) == phone for phone in texted)
