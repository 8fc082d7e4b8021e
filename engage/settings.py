"""The thresholds and switches that operations staff edit as Airflow Variables.

A run reads them once, at ``extract``. Every later step uses the snapshot in ``campaign.settings``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic_core import PydanticCustomError

from engage import alert
from engage.errors import SettingsError
from engage.texts.sending_hours import SendingHours
from engage.texts.template import Template

PREFIX = "engage_"
"""Start of an Airflow Variable's key; the setting's name follows."""


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
_A_TEXT = "a text of 1 to 1000 characters"


class Settings(BaseModel):
    """One campaign's settings, validated and frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low_spend_threshold: Annotated[Number, Field(ge=0, le=1_000_000_000, decimal_places=2)] = Field(
        Decimal("100.00"),
        title="a number from 0 to 1000000000 with at most 2 decimals",
        description="Customers whose spend in the 8 weeks is below this amount are in BOOST.",
    )
    high_activity_threshold: Annotated[Number, Field(ge=0, le=1_000_000, max_digits=15)] = Field(
        Decimal("5.0"),
        title="a number from 0 to 1000000 with at most 15 digits",
        description="Other customers with more sessions a week than this, on average, are in REWARD.",
    )
    send_within_days: Annotated[Count, Field(ge=0, le=3650)] = Field(
        7,
        title="a whole number of days from 0 to 3650",
        description="Customers are texted only this many days after the window's end, unless the run says send_late.",
    )
    message_boost: MessageText = Field(
        "We miss you! Show this text at the counter for 10% off your next meal. Reply STOP to opt out.",
        title=_A_TEXT,
        description="The text message for BOOST.",
    )
    message_reward: MessageText = Field(
        "Thank you for being a regular! Your next dessert is on us. Reply STOP to opt out.",
        title=_A_TEXT,
        description="The text message for REWARD.",
    )
    max_segments: Annotated[Count, Field(ge=1, le=10)] = Field(
        3,
        title="a whole number from 1 to 10",
        description="Longest message, in SMS segments. A segment has 160 plain characters, or 70 with an emoji.",
    )
    sending_hours: Hours = Field(
        "8:00-21:00",
        title="two times of one day such as 8:00-21:00, or 0:00-24:00 for always",
        description="Customers are texted only within these hours of their own local time.",
    )
    min_days_between_messages: Annotated[Count, Field(ge=0, le=3650)] = Field(
        7,
        title="a whole number of days from 0 to 3650",
        description="Fewest days between two campaigns' messages to one customer or phone; 0 is no limit.",
    )
    holdout_percent: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(0),
        title="a number from 0 to 100 with at most 2 decimals",
        description="Share of the customers to text who get no message, for comparison.",
    )
    max_messages_per_run: Annotated[Count, Field(ge=0, le=1_000_000_000)] = Field(
        0,
        title="a whole number from 0 to 1000000000",
        description="A run with more messages than this stops before the first one; 0 is no limit.",
    )
    messages_per_second: Annotated[Number, Field(ge=0, le=10_000, max_digits=15)] = Field(
        Decimal(0),
        title="a number from 0 to 10000 with at most 15 digits",
        description="Sending rate; 0 is as fast as the provider takes them. Read again while sending.",
    )
    send_concurrency: Annotated[Count, Field(ge=1, le=100)] = Field(
        10,
        title="a whole number from 1 to 100",
        description="Messages that are handed to the provider at the same time. Read again while sending.",
    )
    max_filtered_percent: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(10),
        title="a number from 0 to 100 with at most 2 decimals",
        description="A campaign halts once networks filter out more than this share of its messages as spam.",
    )
    guard_min_volume_percent: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(50),
        title="a number from 0 to 100 with at most 2 decimals",
        description="The guard stops a window below this share of the last window's sessions or purchases; 0 is off.",
    )
    guard_max_quiet_days: Annotated[Count, Field(ge=0, le=56)] = Field(
        3,
        title="a whole number of days from 0 to 56",
        description="The guard stops a window whose newest event is more than this many days before its end; 0 is off.",
    )
    guard_max_shift_points: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(25),
        title="a number from 0 to 100 with at most 2 decimals",
        description="The guard stops a campaign if a bucket's share moves by more points than this; 100 is off.",
    )
    require_approval: bool = Field(
        False,
        title="true or false",
        description="Whether an approver must approve a campaign's list in Airflow before messages go out.",
    )
    approval_hours: Annotated[Count, Field(ge=1, le=720)] = Field(
        48,
        title="a whole number of hours from 1 to 720",
        description="How long a run waits for the approver. A list without an answer is rejected.",
    )
    sms_provider: Literal["sandbox", "twilio"] = Field(
        "sandbox",
        title="'sandbox' or 'twilio'",
        description="Provider that delivers the messages. The sandbox accepts every message and delivers none.",
    )
    sandbox_strict: bool = Field(
        False,
        title="true or false",
        description="Whether phone numbers and sending hours are also checked for the sandbox, as for a real provider.",
    )
    alert_emails: Emails = Field(
        "",
        title="e-mail addresses with commas between them, or nothing",
        description="Addresses for alerts of failures, halts, approvals and unknown outcomes. Read for each alert.",
    )
    keep_windows: Annotated[Count, Field(ge=1, le=1000)] = Field(
        13,
        title="a whole number of windows from 1 to 1000",
        description="Complete windows whose events are kept. Older events are deleted once their campaign is complete.",
    )

    @property
    def real(self) -> bool:
        """Whether messages reach customers' phones."""
        return self.sms_provider != "sandbox"

    @property
    def strict(self) -> bool:
        """Whether phone numbers and sending hours are checked."""
        return self.real or self.sandbox_strict

    @property
    def low_spend_cents(self) -> int:
        return int(self.low_spend_threshold * 100)

    def message(self, bucket: str) -> str:
        """The template for ``bucket``, which must be one of the texted buckets."""
        return str(getattr(self, f"message_{bucket.lower()}"))

    def snapshot(self) -> dict[str, Any]:
        """JSON-ready values for the campaign; ``from_snapshot`` reads them back. Alert addresses stay out of it."""
        return self.model_dump(exclude={"alert_emails"})

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any]) -> Settings:
        """Settings from a snapshot, also of an earlier version: settings that no longer exist are dropped."""
        return cls.model_validate({name: value for name, value in snapshot.items() if name in cls.model_fields})


def validate(values: Mapping[str, Any], *, label: Callable[[str], str] = str) -> Settings:
    """Settings from raw values by name; a missing name keeps its default.

    ``label`` turns a setting's name into the words of an error's reader, such as ``--set name``.

    Raises:
        SettingsError: names every wrong value, and what is allowed.
    """
    try:
        settings = Settings.model_validate(dict(values))
    except ValidationError as exc:
        wrong = {str(error["loc"][0]): error for error in exc.errors()}
    else:
        _refuse_long_messages(settings, label)
        return settings
    raise SettingsError("; ".join(_explain(name, values[name], wrong[name], label) for name in wrong) + ".")


def _explain(name: str, value: object, error: Mapping[str, Any], label: Callable[[str], str]) -> str:
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{label(name)} is not a setting; the settings are {', '.join(map(label, Settings.model_fields))}"
    why = f"{error['msg']}; it takes" if error["type"] == "unreadable" else "it takes"
    return f"{label(name)} is {_shorten(repr(value))}, which is not allowed: {why} {field.title}"


def _refuse_long_messages(settings: Settings, label: Callable[[str], str]) -> None:
    for name in ("message_boost", "message_reward"):
        needed = Template.parse(getattr(settings, name)).typical_segments()
        if needed > settings.max_segments:
            raise SettingsError(
                f"{label(name)} takes {needed} segments with its placeholders filled in, and {label('max_segments')} "
                f"allows {settings.max_segments}. Shorten the text: a segment has 160 plain characters, or 70 with any "
                "other, such as an emoji."
            )


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def from_variables(read: Callable[[str], str | None]) -> Settings:
    """Settings from Airflow Variables; ``read`` returns a Variable's text by key, or None if it is missing.

    Raises:
        SettingsError: names each wrong Variable, its value, and what is allowed.
    """
    stored = {name: read(PREFIX + name) for name in Settings.model_fields}
    present = {name: value for name, value in stored.items() if value is not None}
    return validate(present, label=lambda name: f"The Airflow Variable {PREFIX}{name}")


def default_variables() -> str:
    """The defaults as a JSON file for ``airflow variables import``, each with its description."""
    defaults = Settings().model_dump()
    values = {name: _text(value) if isinstance(value, bool) else value for name, value in defaults.items()}
    return json.dumps(
        {
            PREFIX + name: {"value": values[name], "description": f"{field.description} Allowed: {field.title}."}
            for name, field in Settings.model_fields.items()
        },
        indent=2,
    )


def markdown_table() -> str:
    """The settings as a table for docs/operations.md: Variable, default, allowed values, description."""
    lines = ["| Variable | default | allowed | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        cells = (f"`{PREFIX}{name}`", _text(field.default), field.title or "", field.description or "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(value: object) -> str:
    """A value as an Airflow Variable holds it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
