"""Whether a customer's name is one: a name that reads as a contact must not go out under the sender's name."""

from __future__ import annotations

import re
import unicodedata

_LINK = re.compile(r"\.[^\W\d_]{2,}|\w:[\w/]|\d\.\d+\.\d|@|//")
"""A dot before letters, as in evil.com; a scheme, as in tel:911; an IP address; an e-mail address or account."""
_DIGITS = 5
"""The fewest digits of a number to call or text; short codes have five."""


def reads_as_contact(name: str) -> bool:
    """Whether a phone would make a link of the name: an address on the web, an e-mail address, a phone number."""
    plain = unicodedata.normalize("NFKC", name).replace("\u3002", ".")
    return _LINK.search(plain) is not None or sum(map(str.isdecimal, plain)) >= _DIGITS
