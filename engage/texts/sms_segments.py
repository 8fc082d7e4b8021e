"""How many parts a text message is sent in: what a provider charges for.

A text of GSM-7 characters fits 160 to a message, or 153 to a part of several; any other character makes the whole
text UCS-2, with 70 or 67 UTF-16 units (3GPP TS 23.038, sections 4 and 6.2; TS 23.040, section 9.2.3.24.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Written as an escape and a character."""


@lru_cache(maxsize=1000)
def segments(text: str) -> int:
    """How many parts ``text`` is sent in."""
    if set(text) <= _BASIC | _EXTENDED:
        return _parts((2 if character in _EXTENDED else 1 for character in text), alone=160, several=153)
    return _parts((2 if ord(character) > 0xFFFF else 1 for character in text), alone=70, several=67)


def _parts(sizes: Iterable[int], *, alone: int, several: int) -> int:
    """Fill part after part; no character is cut in two."""
    sizes = list(sizes)
    if sum(sizes) <= alone:
        return 1
    parts, used = 1, 0
    for size in sizes:
        if used + size > several:
            parts, used = parts + 1, 0
        used += size
    return parts
