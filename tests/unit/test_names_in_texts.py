"""A name that reads as a link, an address or a phone number is not put into a text."""

import pytest

from engage.texts.sms_preview import made_up

CONTACTS = [
    "https://evil.example/x", "http://1.2.3.4", "evil.com", "EVIL.COM", "www.evil.com", "Ada evil.com", "evil.com Ada",
    "see bit.ly/abc", "evil。com", "evil．com", "ｅｖｉｌ.com", "evil․com", "e\u200bvil.com", "evil\u2060.com",
    "evil .com", "xn--e1afmkfd.xn--p1ai", "пример.рф", "ada@example.com", "@ada", "ada＠example.com", "tel:911",
    "mailto:ada", "+1 202 555 0123", "2025550123", "202-555-0123", "Call 555 01 23", "(202) 555.0123", "٢٠٢٥٥٥٠١٢٣",
    "Text 12345 now", "1.2.3.4",
]  # fmt: skip
NAMES = [
    "Ada Lovelace", "J. R. R. Tolkien", "J.R.R. Tolkien", "Dr. Ada", "Ada Jr.", "St. John", "O'Brien", "Anne-Marie",
    "Ada 2", "Ada 1815", "李 小龍", "محمد", "Zoë", "Ana/Luis", "Mr. T", "B.B. King", "No. 5", "👩‍👩‍👧",
]  # fmt: skip


@pytest.mark.parametrize("name", CONTACTS)
def test_a_link_an_address_or_a_phone_number_is_no_name(name):
    shown = made_up(name)
    assert (shown["name"], shown["first_name"]) == ("there", "there")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays(name):
    assert made_up(name)["name"] == name
    assert made_up(name)["first_name"] == name.split()[0]
