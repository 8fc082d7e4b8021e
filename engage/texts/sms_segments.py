"""How many SMS segments a text takes. A provider charges by segment.

One segment holds 160 GSM-7 characters, or 153 each if there are several. Any other character makes the whole text
UCS-2, with 70 or 67 UTF-16 units (3GPP TS 23.038, sections 4 and 6.2; TS 23.040, section 9.2.3.24.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Sent as an escape and a character."""


def is_plain(character: str) -> bool:
    """Whether a character is of the GSM-7 alphabet; any other makes the whole text UCS-2."""
    return character in _BASIC or character in _EXTENDED


@dataclass(frozen=True)
class Fill:
    """How a text fills its SMS segments, in GSM-7 characters or in UTF-16 units."""

    segments: int
    used: int
    """Of the last segment."""
    holds: int
    """What the last segment holds. One segment alone holds more than each of several."""

    @property
    def left(self) -> int:
        """Plain characters that the text can grow by without another segment."""
        return self.holds - self.used


@lru_cache(maxsize=1000)
def fill(text: str) -> Fill:
    """How ``text`` fills its segments. An empty text takes one."""
    if set(text) <= _BASIC | _EXTENDED:
        return _filled((2 if character in _EXTENDED else 1 for character in text), alone=160, several=153)
    return _filled((2 if ord(character) > 0xFFFF else 1 for character in text), alone=70, several=67)


def segments(text: str) -> int:
    """How many SMS segments ``text`` takes."""
    return fill(text).segments


def _filled(sizes: Iterable[int], *, alone: int, several: int) -> Fill:
    """Fill segment after segment; no character is split."""
    sizes = list(sizes)
    if sum(sizes) <= alone:
        return Fill(1, sum(sizes), alone)
    count, used = 1, 0
    for size in sizes:
        if used + size > several:
            count, used = count + 1, 0
        used += size
    return Fill(count, used, several)
