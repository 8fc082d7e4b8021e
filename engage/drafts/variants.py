"""Where an approved text goes: the next free place among a segment's texts in the setting ``messages``."""

from __future__ import annotations

import json

from engage.errors import InputError
from engage.settings import Settings
from engage.settings.languages import DEFAULT, OWN, VARIANTS, ByLanguage, by_variant


def free(settings: Settings, segment: str, language: str) -> str:
    """The first variant of a segment that lacks a text in a language; the empty language is for all others.

    Raises:
        InputError: none lacks one, in words that say what to do.
    """
    texts = settings.by_variant(segment) if segment in settings.texted else {}
    if not language:
        found = next((name for name in VARIANTS if name not in texts), None)
        if found is None:
            raise InputError(f"{segment} has five texts, a to e, and may have no more. Remove one first.")
        return found
    found = next((name for name in texts if language not in texts[name]), None)
    if found is None:
        raise InputError(
            f"Each text of {segment} has its {language} already. Approve a text for all others first, or remove one."
        )
    return found


def place_of(settings: Settings, segment: str, language: str, text: str) -> str | None:
    """The variant of a segment that has this text in this language already; None if none has."""
    texts = settings.by_variant(segment) if segment in settings.texted else {}
    return next((name for name, found in texts.items() if found.get(language) == text), None)


def with_text(settings: Settings, segment: str, variant: str, language: str, text: str) -> str:
    """The setting ``messages`` as JSON, with a text in its place."""
    texts: dict[str, ByLanguage] = by_variant(settings.messages.get(segment, {}))
    texts = texts | {variant: texts.get(variant, {}) | {language or DEFAULT: text}}
    only_own = set(texts) == {OWN} and DEFAULT not in texts[OWN]
    found = texts[OWN] if only_own else dict(sorted(texts.items()))
    return json.dumps({**settings.messages, segment: found}, ensure_ascii=False)
