"""The thresholds and switches that operations staff edit as Airflow Variables.

A run reads them once, at ``extract``; the snapshot in ``campaign.settings`` is what every later step uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from engage.errors import SettingsError

PREFIX = "engage_"
"""An Airflow Variable's key is this and the setting's name."""


def _plain_number(value: object) -> object:
    """Refuse what Python would wave through as a number: booleans, blanks, and digits grouped with ``_``."""
    if isinstance(value, bool) or (isinstance(value, str) and (not value.strip() or "_" in value)):
        raise ValueError("not a number")
    return str(value).strip() if isinstance(value, str | float) else value


Number = Annotated[Decimal, BeforeValidator(_plain_number), PlainSerializer(float, return_type=float)]
Count = Annotated[int, BeforeValidator(_plain_number)]
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]


class Settings(BaseModel):
    """One campaign's settings, validated and frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low_spend_threshold: Annotated[Number, Field(ge=0, le=1_000_000_000, decimal_places=2)] = Field(
        Decimal("100.00"),
        title="a number from 0 to 1000000000 with at most 2 decimals",
        description="Customers whose spend over the 8 weeks is below this amount are in BOOST.",
    )
    high_activity_threshold: Annotated[Number, Field(ge=0, le=1_000_000, max_digits=15)] = Field(
        Decimal("5.0"),
        title="a number from 0 to 1000000 with at most 15 digits",
        description="Of the others, customers with more sessions a week than this, on average, are in REWARD.",
    )
    send_within_days: Annotated[Count, Field(ge=0, le=3650)] = Field(
        7,
        title="a whole number of days from 0 to 3650",
        description="Nobody is texted about a window that ended longer ago than this, unless a run says send_late.",
    )
    message_boost: Text = Field(
        "We miss you! Show this text at the counter for 10% off your next meal. Reply STOP to opt out.",
        title="a text of 1 to 1000 characters",
        description="The text message for BOOST.",
    )
    message_reward: Text = Field(
        "Thank you for being a regular! Your next dessert is on us. Reply STOP to opt out.",
        title="a text of 1 to 1000 characters",
        description="The text message for REWARD.",
    )
    sms_provider: Literal["sandbox"] = Field(
        "sandbox",
        title="'sandbox'",
        description="Who delivers the messages. The sandbox accepts every message and delivers none.",
    )

    @property
    def low_spend_cents(self) -> int:
        return int(self.low_spend_threshold * 100)

    def snapshot(self) -> dict[str, Any]:
        """JSON-ready values; ``from_snapshot`` reads them back."""
        return self.model_dump()

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any]) -> Settings:
        """A snapshot that an earlier version took reads as well: settings it had and this one has not are left out."""
        return cls.model_validate({name: value for name, value in snapshot.items() if name in cls.model_fields})


def validate(values: Mapping[str, Any], *, label: Callable[[str], str] = str) -> Settings:
    """Settings from raw values by name; a name that is missing keeps its default.

    ``label`` turns a setting's name into what the reader of an error calls it.

    Raises:
        SettingsError: names every wrong value and what is allowed instead.
    """
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as exc:
        wrong = {str(error["loc"][0]): error for error in exc.errors()}
    raise SettingsError("; ".join(_explain(name, values[name], label) for name in wrong) + ".")


def _explain(name: str, value: object, label: Callable[[str], str]) -> str:
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{label(name)} is not a setting; there are {', '.join(map(label, Settings.model_fields))}"
    return f"{label(name)} is {_shorten(repr(value))}, which is not allowed: it takes {field.title}"


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def from_variables(read: Callable[[str], str | None]) -> Settings:
    """Settings from Airflow Variables; ``read`` returns a Variable's text by key, or None when there is none.

    Raises:
        SettingsError: names each Variable, its value and what is allowed.
    """
    stored = {name: read(PREFIX + name) for name in Settings.model_fields}
    present = {name: value for name, value in stored.items() if value is not None}
    return validate(present, label=lambda name: f"The Airflow Variable {PREFIX}{name}")


def default_variables() -> str:
    """The defaults as a file for ``airflow variables import``, with a description for each."""
    defaults = Settings().snapshot()
    return json.dumps(
        {
            PREFIX + name: {"value": defaults[name], "description": f"{field.description} Allowed: {field.title}."}
            for name, field in Settings.model_fields.items()
        },
        indent=2,
    )
