"""A segment's texts as its customers read them. The sender, previews, approvals and test messages all use this."""

from __future__ import annotations

from typing import Any

from engage.sending import personal
from engage.settings import languages
from engage.settings.text_variants import ByVariant
from engage.texts.template import Template
from engage.window import Window


class SegmentTemplates:
    """One segment's texts, parsed once."""

    def __init__(self, texts: ByVariant) -> None:
        self._parsed = {
            variant: {language: (language, Template.parse(text)) for language, text in by_language.items()}
            for variant, by_language in texts.items()
        }
        self.variants = tuple(self._parsed)
        self.placeholders = frozenset(
            name
            for by_language in self._parsed.values()
            for _, template in by_language.values()
            for name in template.placeholders
        )
        """What the texts name, all together."""

    def chosen(self, variant: str, locale: str | None) -> tuple[str, Template]:
        """The text for a customer's locale, with its language; the empty language is for all others."""
        texts = self._parsed[variant]
        return languages.chosen(texts, locale) or texts[""]


def filled_in(template: Template, row: Any, window: Window, offer_code: str) -> dict[str, str]:
    """The values of the template's placeholders for a row with ``personal.COLUMNS``."""
    return personal.values(row, window, offer_code) if template.placeholders else {}
