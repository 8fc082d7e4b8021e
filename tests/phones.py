"""Fictional phone numbers: NANPA reserves 555-0100 to 555-0199 of each area for fiction."""

from __future__ import annotations

AREAS = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231)

TRUNK = [
    ("+4407400123456", "+447400123456"),
    ("+112025550123", "+12025550123"),
    ("+330612345678", "+33612345678"),
    ("+49015123456789", "+4915123456789"),
    ("+610491570156", "+61491570156"),
    ("+88001712345678", "+8801712345678"),
    ("+23408031234567", "+2348031234567"),
    ("+789161234567", "+79161234567"),
]
"""Numbers with the prefix of calls within their country, which some apps leave in, and their canonical forms."""


def fictional_phone(number: int) -> str:
    """A different valid number for each ``number`` from 0 to 2199."""
    area, line = divmod(number, 100)
    return f"+1{AREAS[area]}555{100 + line:04}"
