"""The types of settings: numbers, counts, texts and hours, each read strictly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from engage import alert
from engage.texts.sending_hours import SendingHours
from engage.texts.template import Template


def _plain_number(value: object) -> object:
    """Refuse values that Python takes for numbers: booleans, blanks, and digits grouped with ``_``."""
    if isinstance(value, bool) or (isinstance(value, str) and (not value.strip() or "_" in value)):
        raise ValueError("not a number")
    return str(value).strip() if isinstance(value, str | float) else value


Number = Annotated[Decimal, BeforeValidator(_plain_number), PlainSerializer(float, return_type=float)]
Count = Annotated[int, BeforeValidator(_plain_number)]


def _read_by(parse: Callable[[str], object]) -> AfterValidator:
    """A text that ``parse`` accepts. The error repeats the reason of ``parse``'s ValueError."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as exc:
            raise PydanticCustomError("unreadable", "{reason}", {"reason": str(exc)}) from None
        return text

    return AfterValidator(check)


MessageText = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S"), _read_by(Template.parse)]
Hours = Annotated[str, _read_by(SendingHours.parse)]
Emails = Annotated[str, _read_by(alert.addresses)]
