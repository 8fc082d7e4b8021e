from __future__ import annotations

import pytest

from engage.errors import InputError
from engage.texts.phone import PHONE_HASH_BYTES, hash_key, is_valid, masked, phone_hash, zones

KEY = b"k" * 32


def test_a_phone_hash_is_hmac_sha_256_cut_to_16_bytes():
    # the well-known test vector of HMAC-SHA-256
    digest = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert phone_hash("The quick brown fox jumps over the lazy dog", b"key") == bytes.fromhex(digest)[:16]


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


@pytest.mark.parametrize(
    ("phone", "valid"),
    [
        ("+12025550123", True),
        ("+61491570156", True),
        ("+999000000001", False),
        ("+1202555", False),
        ("2025550123", False),
        ("", False),
        ("+", False),
        ("not a number", False),
    ],
)
def test_a_phone_is_valid_if_somebody_can_have_it(phone, valid):
    assert is_valid(phone) is valid


@pytest.mark.parametrize(
    ("phone", "time_zone", "names"),
    [
        ("+12025550123", "Asia/Kolkata", ["Asia/Kolkata"]),
        ("+12025550123", None, ["America/New_York"]),
        ("+12025550123", "Mars/Olympus", ["America/New_York"]),
        ("+12025550123", "../../etc/passwd", ["America/New_York"]),
        ("+999000000001", None, []),
        ("nobody", None, []),
    ],
)
def test_where_a_phone_may_be(phone, time_zone, names):
    assert [zone.key for zone in zones(phone, time_zone)] == names
