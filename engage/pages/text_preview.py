"""A message's text as its readers will see it, with its segments, its cost and what the operator should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from engage.pages.setting_fields import DEFAULTS
from engage.settings import Settings, segment_of_text
from engage.texts.sms_preview import SmsPreview, examples
from engage.texts.sms_segments import segments
from engage.texts.template import PLACEHOLDERS, Template
from engage.texts.text_warnings import warnings

EMOJI = "🙂"


@dataclass(frozen=True)
class TextPreview:
    """The preview of one text. ``customers``: those of its bucket in the last campaign; None without one."""

    name: str
    template: Template
    examples: Mapping[str, SmsPreview]
    warnings: tuple[str, ...]
    settings: Settings
    customers: int | None

    @property
    def longest(self) -> SmsPreview:
        """The text that takes the most room."""
        return max(self.examples.values(), key=lambda sms: (sms.segments, sms.fill.used))

    @property
    def personal(self) -> bool:
        """Whether the text differs from customer to customer."""
        return bool(self.template.placeholders)

    @property
    def all(self) -> Decimal | None:
        """The most that the text costs for the bucket's customers."""
        return self._for_all(self.longest.segments)

    @property
    def with_emoji(self) -> int | None:
        """Segments of the longest text with an emoji; None if it has a character outside of the plain alphabet."""
        return segments(self.longest.text + EMOJI) if self.longest.plain else None

    @property
    def emoji_costs(self) -> Decimal | None:
        """What an emoji adds to the cost for the bucket's customers."""
        return self._for_all(self.with_emoji - self.longest.segments) if self.with_emoji else None

    def _for_all(self, count: int) -> Decimal | None:
        cost = self.settings.cost(count)
        return cost * self.customers if cost is not None and self.customers else None


def text_preview(name: str, values: Mapping[str, str], settings: Settings, customers: int | None) -> TextPreview | None:
    """The preview of the text ``name`` in ``values``; None while the text cannot be read.

    ``settings`` are those that a run would take, for the limits and the price.
    """
    text = values.get(name, DEFAULTS.get(name, ""))
    try:
        template = Template.parse(text)
    except ValueError:
        return None
    odd = (*warnings(text), *settings.unsent(segment_of_text(name) or ""))
    return TextPreview(name, template, examples(template), odd, settings, customers)


INSERTS = {name: f"{{{{ {name} }}}}" for name in PLACEHOLDERS}
"""The placeholders of a text, as they are written."""
