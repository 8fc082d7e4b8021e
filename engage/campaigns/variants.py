"""The texts of a segment as one campaign draws them: how large a share of the customers gets each, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_DIGITS = 4


@dataclass(frozen=True)
class TextWeights:
    """``weights``: the share of each text, with the sum 1. ``why`` is a sentence without its full stop."""

    weights: dict[str, float]
    why: str

    @classmethod
    def rounded(cls, weights: Mapping[str, float], why: str) -> TextWeights:
        """Weights with few digits and still the sum 1: the largest takes what rounding leaves."""
        found = {name: round(weight, _DIGITS) for name, weight in weights.items()}
        largest = max(found, key=lambda name: found[name])
        others = sum(weight for name, weight in found.items() if name != largest)
        return cls(found | {largest: round(1 - others, _DIGITS)}, why)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> TextWeights:
        """The weights as ``campaign.variants`` keeps them."""
        return cls(dict(kept["weights"]), kept["why"])

    def to_json(self) -> dict[str, Any]:
        """The form in ``campaign.variants``."""
        return asdict(self)
