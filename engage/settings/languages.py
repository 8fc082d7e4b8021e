"""The texts of segments in several languages, as the Variable ``engage_messages`` holds them.

It is JSON such as ``{"REWARD": {"es": "…", "pt-br": "…"}}``. A customer's locale chooses: ``es-MX`` takes ``es-mx`` or
else ``es`` or else the segment's own text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from engage import parsing
from engage.segments import SEGMENT_NAME
from engage.settings.field_types import MessageText

MAX_TEXT = 50_000
Text = TypeVar("Text")
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")
_TEXT: TypeAdapter[str] = TypeAdapter(MessageText)


def _read(value: object, info: ValidationInfo) -> object:
    try:
        found = parsing.json_text(value, MAX_TEXT) if isinstance(value, str) else value
        return _texts(found, info.context)
    except ValueError as exc:
        raise PydanticCustomError("unreadable", "{reason}", {"reason": str(exc)}) from None


Languages = Annotated[dict[str, dict[str, str]], BeforeValidator(_read)]
"""Texts by segment and language; a language is written in small letters, as in ``pt-br``."""


def _texts(found: object, context: Any) -> dict[str, dict[str, str]]:
    if not isinstance(found, dict):
        raise ValueError('it is an object of segments, such as {"REWARD": {"es": "Gracias. Reply STOP to opt out."}}')
    return {_segment(name): _by_language(name, texts, context) for name, texts in found.items()}


def _segment(name: str) -> str:
    if not SEGMENT_NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name of a segment, which has capital letters, digits and _ only")
    return name


def _by_language(segment: str, found: object, context: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        raise ValueError(f'segment {segment} takes an object of languages and texts, such as {{"es": "…"}}')
    tags = [_tag(segment, language) for language in found]
    for tag in tags:
        if tags.count(tag) > 1:
            raise ValueError(f"segment {segment}: the language {tag} stands twice")
    return {tag: _text(segment, tag, text, context) for tag, text in zip(tags, found.values(), strict=True)}


def _tag(segment: str, language: str) -> str:
    tag = language.replace("_", "-").lower()
    if not _TAG.fullmatch(tag):
        raise ValueError(f"segment {segment}: {language[:40]!r} is no language, which is a tag such as es or pt-BR")
    return tag


def _text(segment: str, language: str, text: object, context: Any) -> str:
    try:
        return _TEXT.validate_python(text, context=context, strict=True)
    except ValidationError as exc:
        error = exc.errors()[0]
        why = error["msg"] if error["type"] == "unreadable" else "it takes a text of 1 to 1000 characters"
        raise ValueError(f"the text of segment {segment} in {language}: {why}") from None


def chosen(texts: Mapping[str, Text], locale: str | None) -> Text | None:
    """The text for a customer's locale: of the longest language tag that it starts with; None without one."""
    parts = (locale or "").replace("_", "-").lower().split("-")
    tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((texts[tag] for tag in tags if tag in texts), None)
