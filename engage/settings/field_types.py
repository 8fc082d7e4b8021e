"""The types of settings: numbers, counts, texts and hours, each read strictly."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from engage import alert, parsing, segments
from engage.segments import relative
from engage.settings import message_budget
from engage.texts import phone
from engage.texts.characters import refuse_invisible
from engage.texts.sending_hours import SendingHours
from engage.texts.template import Template


def _plain_number(value: object) -> object:
    """Refuse values that Python takes for numbers, such as booleans and digits of other scripts."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    return parsing.number(str(value).strip()) if isinstance(value, str | float) else value


Number = Annotated[Decimal, BeforeValidator(_plain_number), PlainSerializer(float, return_type=float)]
Count = Annotated[int, BeforeValidator(_plain_number)]


def number_or_share(**limits: Any) -> PlainValidator:
    """Reads a number within ``limits``, or a share of the customers such as ``lowest 20%``."""
    number: TypeAdapter[Decimal] = TypeAdapter(Annotated[Number, Field(**limits)])

    def check(value: object) -> Decimal | segments.Relative:
        if isinstance(value, segments.Relative):
            return value
        if isinstance(value, str) and relative.is_meant(value):
            try:
                return relative.read(value)
            except ValueError as exc:
                raise PydanticCustomError("unreadable", "{reason}", {"reason": str(exc)}) from None
        return number.validate_python(value)

    return PlainValidator(check)


def kept_threshold(value: Decimal | segments.Relative) -> float | str:
    """A threshold as a campaign's snapshot keeps it."""
    return value.text if isinstance(value, segments.Relative) else float(value)


Threshold = Annotated[Decimal | segments.Relative, PlainSerializer(kept_threshold)]
"""What a threshold is set to."""


def _budget(value: object) -> message_budget.MessageBudget:
    """A budget that an editor writes, or that a snapshot keeps."""
    if isinstance(value, message_budget.MessageBudget):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("no budget")
    return message_budget.read(value if isinstance(value, str) else f"{Decimal(str(value)):f}")


Budget = Annotated[
    message_budget.MessageBudget,
    PlainValidator(_budget),
    PlainSerializer(message_budget.MessageBudget.kept),
]


LONGEST_NAME = 256
"""Characters of a user name in Airflow, at most."""
EDITED = {"edited": True}
"""The validation's context for values that an editor gives. A campaign's snapshot keeps what it was computed with."""


def _read_by(parse: Callable[[str], object], *, edited_only: bool = False) -> AfterValidator:
    """A text that ``parse`` accepts. The error repeats the reason of ``parse``'s ValueError."""

    def check(text: str, info: ValidationInfo) -> str:
        try:
            if info.context == EDITED or not edited_only:
                parse(text)
        except ValueError as exc:
            raise PydanticCustomError("unreadable", "{reason}", {"reason": str(exc)}) from None
        return text

    return AfterValidator(check)


def edited_from(least: int) -> AfterValidator:
    """A lower limit for edited values only, as snapshots of an earlier version hold smaller ones."""

    def check(value: int, info: ValidationInfo) -> int:
        if info.context == EDITED and value < least:
            raise ValueError("too small")
        return value

    return AfterValidator(check)


def _composed(text: str) -> str:
    """The text in the normal form NFC, in which é is one character."""
    return unicodedata.normalize("NFC", text)


MessageText = Annotated[
    str,
    Field(min_length=1, max_length=1000, pattern=r"\S"),
    _read_by(refuse_invisible, edited_only=True),
    AfterValidator(_composed),
    _read_by(Template.parse),
]
Hours = Annotated[str, _read_by(SendingHours.parse)]
Emails = Annotated[str, _read_by(alert.addresses)]
Phones = Annotated[str, Field(max_length=1000), _read_by(phone.numbers)]


def user_names(text: str) -> tuple[str, ...]:
    """The user names in ``text``, which commas separate, without repetitions.

    Raises:
        ValueError: there is nothing between two commas, or a name has a character that none has.
    """
    if not text.strip():
        return ()
    found = [name.strip() for name in text.split(",")]
    for name in found:
        if not name or not name.isprintable() or len(name) > LONGEST_NAME:
            raise ValueError(f"{name!r} is not a user name")
    return tuple(dict.fromkeys(found))


UserNames = Annotated[str, _read_by(user_names)]


def _rules(value: object) -> object:
    if isinstance(value, segments.Rules):
        return value
    try:
        return segments.parse(value) if isinstance(value, str) else segments.read(value)
    except ValueError as exc:
        raise PydanticCustomError("unreadable", "{reason}", {"reason": str(exc)}) from None


SegmentRules = Annotated[segments.Rules, BeforeValidator(_rules), PlainSerializer(segments.Rules.to_json)]
