"""The JSON of a batch of events: sessions, purchases and other events of the app."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engage import parsing
from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.errors import InputError
from engage.parsing import MAX_CUSTOMER_ID
from engage.statuses import AppEventKind
from engage.texts.offer_code import LEAST, MOST, SAMPLE

MAX_EVENTS = 1000


def _time(value: object) -> datetime:
    """The time in UTC of RFC 3339 text."""
    try:
        return parsing.moment(value if isinstance(value, str) else "")
    except InputError:
        raise PydanticCustomError("invalid_time", f"It takes {parsing.TIME_FORM}.") from None


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time", "description": parsing.TIME_FORM}),
]
CustomerId = Annotated[
    int, Field(strict=True, ge=1, le=MAX_CUSTOMER_ID, description="The customer's id.", examples=[4711])
]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("unprintable", "It must not contain control characters.")
    return text


Printable = AfterValidator(_printable)
ItemId = Annotated[str, Field(strict=True, min_length=1, max_length=200, examples=["burger-17"]), Printable]
EventId = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=100,
        description="Your name for this event, such as the order's number. For 16 weeks an event of the same type with "
        "this name counts once, whatever its batch. All API keys of one owner share these names.",
        examples=["order-20260914-1187"],
    ),
    Printable,
]
PurchaseId = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=100,
        description="The refunded purchase, for your own records. Engage checks it and does not keep it.",
        examples=["order-20260914-1187"],
    ),
    Printable,
]


class _AnyEvent(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": False})

    occurred_at: Time
    event_id: EventId | None = None


class _Event(_AnyEvent):
    customer_id: CustomerId


class Session(_Event):
    """The app was opened."""

    type: Literal["session"]


_ONE_AMOUNT: JsonValue = [
    {
        "required": ["amount", "currency"],
        "properties": {"amount": {"type": "string"}, "currency": {"type": "string"}, "amount_minor": {"type": "null"}},
    },
    {
        "required": ["amount_minor"],
        "properties": {"amount_minor": {"type": "integer"}, "amount": {"type": "null"}},
    },
]


def _minor(least: int) -> Any:
    """The field for an amount in cents."""
    return Field(
        None,
        strict=True,
        ge=least,
        le=MAX_AMOUNT_CENTS,
        description="The amount in cents, in place of amount and currency.",
        examples=[1250],
    )


class Paid(_Event):
    """An event with an amount."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False, "anyOf": _ONE_AMOUNT})

    type: str
    amount: str | None = Field(
        None,
        strict=True,
        pattern=r"^[0-9]{1,11}(\.[0-9]{1,2})?$",
        description="A decimal number as text, such as 12.50.",
        examples=["12.50"],
    )
    amount_minor: int | None = _minor(0)
    currency: str | None = Field(
        None, strict=True, pattern="^[A-Z]{3}$", description="ISO 4217 code; required with amount.", examples=["USD"]
    )

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.amount is None) == (self.amount_minor is None):
            raise PydanticCustomError("invalid_amount", f"A {self.type} takes either amount or amount_minor.")
        if self.amount is not None and self.currency is None:
            raise PydanticCustomError("invalid_currency", "The field amount takes a currency.")
        if self.cents > MAX_AMOUNT_CENTS:
            raise PydanticCustomError("invalid_amount", "The largest amount is 10000000000.00.")
        return self

    @property
    def cents(self) -> int:
        """The exact amount in cents."""
        if self.amount is None:
            return self.amount_minor or 0
        whole, _, part = self.amount.partition(".")
        return int(whole) * 100 + int(part.ljust(2, "0"))


class Purchase(Paid):
    """Something was bought. The amount is either ``amount`` with ``currency``, or ``amount_minor``."""

    type: Literal["purchase"]


class Refund(Paid):
    """The customer got money back. It lowers the spend of the window in which it occurred, at most to zero."""

    type: Literal["refund"]
    amount_minor: int | None = _minor(1)
    purchase_id: PurchaseId | None = None

    @model_validator(mode="after")
    def _above_zero(self) -> Self:
        if not self.cents:
            raise PydanticCustomError("invalid_amount", "A refund has an amount above 0.")
        return self


class AppEvent(_Event):
    """The customer looked at an item, liked it, or put it in the basket."""

    type: Literal[AppEventKind.VIEWED, AppEventKind.LIKED, AppEventKind.ADDED_TO_BASKET]
    item_id: ItemId


class Redeemed(_AnyEvent):
    """An offer code was redeemed. Each code counts once, until it expires."""

    type: Literal["redeemed"]
    code: str = Field(
        strict=True,
        min_length=LEAST,
        max_length=MOST,
        pattern="^[!-~]+$",
        description="The code as the message has it; capital and small letters differ.",
        examples=[SAMPLE],
    )


Event = Annotated[Session | Purchase | Refund | AppEvent | Redeemed, Field(discriminator="type")]


class EventBatch(BaseModel):
    """A batch as a client sends it. ``event_validation`` checks the events one by one."""

    model_config = ConfigDict(extra="forbid")

    events: list[Any] = Field(min_length=1, max_length=MAX_EVENTS)


class DocumentedBatch(BaseModel):
    """Events of the app, in any order, of any customers."""

    model_config = ConfigDict(extra="forbid")

    events: list[Event] = Field(min_length=1, max_length=MAX_EVENTS)
