"""The further texts of segments, as the Variable ``engage_messages`` holds them: other languages, and variants.

It is JSON such as ``{"REWARD": {"es": "…", "pt-br": "…"}}``. A customer's locale chooses: ``es-MX`` takes ``es-mx`` or
else ``es`` or else the text for all other customers. A segment with several texts names them by letters, such as
``{"BOOST": {"a": {"es": "…"}, "b": {"default": "…", "es": "…"}}}``, and chance gives each customer one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from engage import parsing
from engage.segments import SEGMENT_NAME
from engage.settings.field_types import MessageText

MAX_TEXT = 50_000
VARIANTS = ("a", "b", "c", "d", "e")
"""The names that a segment's texts may have."""
OWN = VARIANTS[0]
"""The variant that the setting of the segment's text holds, such as ``message_boost``."""
DEFAULT = "default"
"""The key of a variant's text for all customers whose language it lacks."""
Text = TypeVar("Text")
ByLanguage = dict[str, str]
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")
_TEXT: TypeAdapter[str] = TypeAdapter(MessageText)
_EXAMPLE = '{"a": {"es": "…"}, "b": {"default": "…", "es": "…"}}'


def _read(value: object, info: ValidationInfo) -> object:
    try:
        found = parsing.json_text(value, MAX_TEXT) if isinstance(value, str) else value
        return _texts(found, info.context)
    except ValueError as exc:
        raise PydanticCustomError("unreadable", "{reason}", {"reason": str(exc)}) from None


Languages = Annotated[dict[str, ByLanguage | dict[str, ByLanguage]], BeforeValidator(_read)]
"""Texts by segment and language, or by segment, variant and language. A language is in small letters, as ``pt-br``."""


def by_variant(texts: Mapping[str, str] | Mapping[str, ByLanguage]) -> dict[str, ByLanguage]:
    """A segment's further texts by variant and language. Without variants, all are of ``a``."""
    if all(len(name) == 1 for name in texts):
        return cast(dict[str, ByLanguage], dict(texts))
    return {OWN: cast(ByLanguage, dict(texts))}


def complete(variant: str, texts: Mapping[str, str], own: str | None) -> ByLanguage | None:
    """A variant's texts by language; the empty language is for all customers whose language it lacks.

    That text is the one under ``default``; without it, ``own`` for ``a`` (the segment's own setting), and ``en`` for
    every other variant. None if there is none.
    """
    further = dict(texts)
    if DEFAULT in further:
        for_all_others: str | None = further.pop(DEFAULT)
    else:
        for_all_others = own if variant == OWN else further.pop("en", None)
    return None if for_all_others is None else {"": for_all_others, **further}


def _texts(found: object, context: Any) -> dict[str, ByLanguage | dict[str, ByLanguage]]:
    if not isinstance(found, dict):
        raise ValueError('it is an object of segments, such as {"REWARD": {"es": "Gracias. Reply STOP to opt out."}}')
    return {_segment(name): _of_segment(name, texts, context) for name, texts in found.items()}


def _segment(name: str) -> str:
    if not SEGMENT_NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name of a segment, which has capital letters, digits and _ only")
    return name


def _of_segment(segment: str, found: object, context: Any) -> ByLanguage | dict[str, ByLanguage]:
    if not isinstance(found, dict):
        raise ValueError(f'segment {segment} takes an object of languages and texts, such as {{"es": "…"}}')
    letters = [name for name in found if len(name) == 1]
    if not letters:
        return _by_language(segment, "", found, context)
    if others := [name for name in found if len(name) != 1]:
        raise ValueError(
            f"segment {segment} has the variant {letters[0]} beside {others[0][:40]!r}. With variants, each has "
            f"languages of its own: {_EXAMPLE}"
        )
    if wrong := [name for name in letters if name not in VARIANTS]:
        raise ValueError(f"segment {segment}: {wrong[0]!r} is no variant. A segment has at most five, named a to e")
    return {name: _variant(segment, name, found[name], context) for name in sorted(letters)}


def _variant(segment: str, name: str, found: object, context: Any) -> ByLanguage:
    if isinstance(found, str):
        found = {DEFAULT: found}
    if not isinstance(found, dict):
        raise ValueError(f"segment {segment}: variant {name} takes a text, or an object of languages and texts")
    texts = _by_language(segment, f" {name}", found, context)
    if complete(name, texts, own="") is None:
        raise ValueError(
            f"segment {segment}: variant {name} has no text for customers whose language it lacks. Give it one under "
            f"{DEFAULT} or en"
        )
    return texts


def _by_language(segment: str, variant: str, found: dict[str, object], context: Any) -> ByLanguage:
    tags = [DEFAULT if variant and language.lower() == DEFAULT else tag_of(segment, language) for language in found]
    for tag in tags:
        if tags.count(tag) > 1:
            raise ValueError(f"segment {segment}{variant}: the language {tag} stands twice")
    return {
        tag: _text(f"{segment}{variant}", tag, text, context) for tag, text in zip(tags, found.values(), strict=True)
    }


def tag_of(segment: str, language: str) -> str:
    """The form in which a segment's language is stored, such as ``pt-br`` for ``pt_BR``.

    Raises:
        ValueError: it is no language tag.
    """
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
        where = "" if language == DEFAULT else f" in {language}"
        raise ValueError(f"the text of segment {segment}{where}: {why}") from None


def language(texts: Mapping[str, object], locale: str | None) -> str:
    """The language of the text for a customer's locale; empty for the text of all others."""
    return chosen({tag: tag for tag in texts if tag}, locale) or ""


def chosen(texts: Mapping[str, Text], locale: str | None) -> Text | None:
    """The text for a customer's locale: of the longest language tag that it starts with; None without one."""
    parts = (locale or "").replace("_", "-").lower().split("-")
    tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((texts[tag] for tag in tags if tag in texts), None)
