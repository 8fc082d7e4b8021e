"""Fictional phone numbers: NANPA reserves 555-0100 to 555-0199 of each area for fiction."""

from __future__ import annotations

AREAS = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231)


def fictional_phone(number: int) -> str:
    """A different valid number for each ``number`` from 0 to 2199."""
    area, line = divmod(number, 100)
    return f"+1{AREAS[area]}555{100 + line:04}"
