"""A dictionary of bounded size, for what the service remembers about its clients."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

SIZE = 10_000
K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """A dictionary of at most ``SIZE`` entries: a new one pushes out the one that was set longest ago."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > SIZE:
            self.popitem(last=False)
