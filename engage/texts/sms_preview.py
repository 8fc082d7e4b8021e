"""A text message as its reader will see it: what is filled in, and how many SMS segments it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engage.texts import offer_code
from engage.texts.sms_segments import Fill, fill, is_plain
from engage.texts.template import Template, values

LONGEST_NAME = "Maximilian Wolfeschlegelsteinhausenberg"
"""A name of 39 characters. A text holds at most 40 of a name (``template.MAX_VALUE``)."""


@dataclass(frozen=True)
class Part:
    """A piece of the text. ``filled_in``: it replaces a placeholder."""

    text: str
    filled_in: bool = False


@dataclass(frozen=True)
class SmsPreview:
    """One customer's text message."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole text, as it goes out."""
        return "".join(part.text for part in self.parts)

    @property
    def characters(self) -> int:
        return len(self.text)

    @property
    def segments(self) -> int:
        """SMS segments, which the provider charges for."""
        return self.fill.segments

    @property
    def fill(self) -> Fill:
        """How full the last segment is."""
        return fill(self.text)

    @property
    def plain(self) -> bool:
        """Whether the text is GSM-7: 160 characters to a segment instead of 70."""
        return all(map(is_plain, self.text))


def preview(template: Template, filled_in: Mapping[str, str]) -> SmsPreview:
    """The text with each placeholder replaced by its value in ``filled_in`` (``template.values`` makes them)."""
    filled = template.filled(filled_in)
    return SmsPreview(tuple(Part(text, filled_in=n % 2 == 1) for n, text in enumerate(filled) if template.parts[n]))


def examples(template: Template) -> dict[str, SmsPreview]:
    """The text to a customer with a usual name, with the longest name, and without a name."""
    names = {"Ada": "Ada Diaz", "Longest name": LONGEST_NAME, "No name": None}
    return {label: preview(template, made_up(name)) for label, name in names.items()}


def made_up(name: str | None) -> dict[str, str]:
    """The values of a made-up customer."""
    return values(
        name,
        total_spend_cents=123_45,
        avg_weekly_sessions=5.1,
        purchases=3,
        days_since_last_purchase=34,
        favourite_item="Chicken Quesadilla",
        offer_code=offer_code.SAMPLE,
    )
