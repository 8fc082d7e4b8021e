"""What the local stack says while it starts and stops its processes."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes a sentence for the operator. It must not fail, or processes would be left behind."""


def quiet(sentence: str) -> None:
    """Say nothing."""
