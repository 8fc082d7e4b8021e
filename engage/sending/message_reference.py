"""A message's reference: names one message of the ledger to a provider, whose receipts repeat it.

It is the window's key and the customer's id, such as ``20260914-4711``.
"""

from __future__ import annotations

import re

from engage.errors import WindowError
from engage.parsing import MAX_CUSTOMER_ID
from engage.window import Window

_REFERENCE = re.compile(r"(\d{8})-(-?\d{1,19})", re.ASCII)


def write(window: Window, customer_id: int) -> str:
    """The reference of the message to a customer."""
    return f"{window.key}-{customer_id}"


def read(reference: str) -> tuple[Window, int] | None:
    """The window and the customer's id; None if the text is no reference."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    try:
        window, customer_id = Window.from_key(match[1]), int(match[2])
    except WindowError:
        return None
    return (window, customer_id) if abs(customer_id) <= MAX_CUSTOMER_ID else None
