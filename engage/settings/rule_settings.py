"""The rules of the segments and the thresholds that they name, with the numbers that shares of the customers become."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, model_validator

from engage.segments import DEFAULT, Relative, Resolved, Rules, Share
from engage.settings.custom import OR_A_SHARE, custom
from engage.settings.field_types import SegmentRules, Threshold, number_or_share


class RuleSettings(BaseModel):
    """The settings that decide in which segment a customer is, and those whose names the staff choose."""

    model_config = ConfigDict(frozen=True, extra="allow")

    low_spend_threshold: Annotated[Threshold, number_or_share(ge=0, le=1_000_000_000, decimal_places=2)] = Field(
        Decimal("100.00"),
        title=f"a number from 0 to 1000000000 with at most 2 decimals, {OR_A_SHARE}",
        description="Customers whose spend in the 8 weeks is below this amount are in BOOST.",
    )
    high_activity_threshold: Annotated[Threshold, number_or_share(ge=0, le=1_000_000, max_digits=15)] = Field(
        Decimal("5.0"),
        title=f"a number from 0 to 1000000 with at most 15 digits, {OR_A_SHARE}",
        description="Other customers with more sessions a week than this, on average, are in REWARD.",
    )
    segments: SegmentRules = Field(
        DEFAULT,
        title="JSON of segments in order and a name for all other customers, as docs/segments.md shows",
        description="The rules that put each customer in a segment. The first one that fits counts.",
    )
    _resolved: Mapping[str, Resolved] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _read_custom(self, info: ValidationInfo) -> Self:
        extra = self.__pydantic_extra__ or {}
        for name, value in extra.items():
            kind = custom(name)
            if kind is None:
                raise ValueError(f"{name} is not a setting")
            extra[name] = kind.adapter.validate_python(value, context=info.context)
        return self

    def threshold(self, name: str) -> Decimal | Relative:
        """What a threshold is set to.

        Raises:
            KeyError: there is none of this name.
        """
        found = self._value(name)
        if not isinstance(found, Decimal | Relative):
            raise KeyError(name)
        return found

    @property
    def thresholds(self) -> dict[str, Decimal | Relative]:
        """What the thresholds that the rules name are set to, by setting, in order."""
        return {name: self.threshold(name) for name in self.segments.thresholds}

    @property
    def shares(self) -> dict[str, Share]:
        """The shares of the customers that the rules ask for, by threshold or by the line of a rule."""
        return self.segments.shares(self.thresholds)

    @property
    def resolved(self) -> Mapping[str, Resolved]:
        """What the shares became in a window, by the names of ``shares``; empty until that is known."""
        return self._resolved

    def with_resolved(self, found: Mapping[str, Resolved]) -> Self:
        """These settings with the numbers that their shares became in a window."""
        copy = self.model_copy()
        copy._resolved = found
        return copy

    def number(self, name: str) -> Decimal | Fraction | None:
        """The number of a threshold; None for a share that no window has resolved yet."""
        value = self.threshold(name)
        if isinstance(value, Decimal):
            return value
        return self._resolved[name].exact if name in self._resolved else None

    @property
    def rules(self) -> Rules:
        """The rules with a number in place of each threshold, and of each share once it is known."""
        return self.segments.resolved(self.thresholds, self._resolved)

    def _value(self, name: str) -> object:
        """The value of a setting, fixed or chosen; None without one."""
        chosen = (self.__pydantic_extra__ or {}).get(name)
        return getattr(self, name) if name in type(self).model_fields else chosen
