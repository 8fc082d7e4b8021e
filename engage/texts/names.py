"""Customers' names: the form in which they are stored, and those that read as a contact.

A name that reads as a contact must not go out under the sender's name.
"""

from __future__ import annotations

import re
import unicodedata

from engage.errors import InputError
from engage.texts.characters import refuse_invisible

MAX_NAME = 200
"""Most characters of a name."""
LOCALE = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"
"""The form of a locale such as en-US."""
MAX_LOCALE = 35
_LINK = re.compile(r"\.[^\W\d_]{2,}|\w:[\w/]|\d\.\d+\.\d|@|//")
"""A dot before letters, as in evil.com; a scheme, as in tel:911; an IP address; an e-mail address or account."""
_DIGITS = 5
"""The fewest digits of a number to call or text; short codes have five."""


def reads_as_contact(name: str) -> bool:
    """Whether a phone would make a link of the name: an address on the web, an e-mail address, a phone number."""
    plain = unicodedata.normalize("NFKC", name).replace("\u3002", ".")
    return _LINK.search(plain) is not None or sum(map(str.isdecimal, plain)) >= _DIGITS


def stored_form(name: str) -> str:
    """The name in the normal form NFC. It may have the joiners that its script or an emoji needs.

    Raises:
        InputError: it has an invisible or a control character.
    """
    try:
        refuse_invisible(name)
    except ValueError as exc:
        raise InputError(f"The name is refused: {exc}.") from None
    if not name.replace("\u200c", "").replace("\u200d", "").isprintable():
        raise InputError("It must not contain control characters.")
    return unicodedata.normalize("NFC", name)
