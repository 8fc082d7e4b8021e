"""The JSON of a customer: the profile that the app sends, and what the service answers."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from engage import parsing
from engage.campaigns.status import StatusKey
from engage.customers.profile import Profile
from engage.errors import InputError
from engage.service.event_models import Printable, Time
from engage.service.problem_details import problem
from engage.statuses import MessageStatus
from engage.texts.characters import refuse_invisible
from engage.texts.phone import E164, parse


def _phone(text: str) -> str:
    """The canonical form of the phone."""
    try:
        return parse(text)
    except InputError as exc:
        raise PydanticCustomError("invalid_phone", "{reason}", {"reason": str(exc)}) from None


def _name(text: str) -> str:
    """The name in the normal form NFC. It may have the joiners that its script or an emoji needs."""
    try:
        refuse_invisible(text)
    except ValueError as exc:
        raise PydanticCustomError("unprintable", "{reason}", {"reason": f"The name is refused: {exc}."}) from None
    if not text.replace("\u200c", "").replace("\u200d", "").isprintable():
        raise PydanticCustomError("unprintable", "It must not contain control characters.")
    return unicodedata.normalize("NFC", text)


def _zone(text: str) -> str:
    try:
        return parsing.time_zone(text)
    except InputError:
        raise PydanticCustomError("invalid_time_zone", "It takes an IANA time zone such as America/New_York.") from None


MAX_CONSENT_SKEW = timedelta(minutes=5)
"""How far a client's clock may be ahead."""


class Consent(BaseModel):
    """The customer's consent to be texted: where and when they gave it."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(min_length=1, max_length=200, examples=["app settings"]), Printable]
    at: Time
    wording: Annotated[str, Field(min_length=1, max_length=2000), Printable] | None = Field(
        None,
        description="What the customer agreed to, for the consent record.",
        examples=["Yes, text me offers, at most once in 8 weeks."],
    )


class ProfileBody(BaseModel):
    """The whole profile: a missing field is unknown, and a missing consent is withdrawn."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200, examples=["Ada Diaz"]), AfterValidator(_name)] | None = None
    phone: Annotated[
        str,
        Field(pattern=E164, examples=["+12025550123"], description="A valid number of any type, in E.164."),
        AfterValidator(_phone),
    ] | None = None  # fmt: skip
    locale: Annotated[
        str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35, examples=["en-US"])
    ] | None = None  # fmt: skip
    time_zone: Annotated[str, Field(max_length=64, examples=["America/New_York"]), AfterValidator(_zone)] | None = None
    registered_at: Time | None = Field(
        None, description="By default the time at which Engage first stores the customer."
    )
    consent: Consent | None = None

    def profile(self, as_of: datetime) -> Profile:
        """The profile, without the form of the request.

        Raises:
            HTTPException: 422 for a consent in the future, which no customer can have given.
        """
        consent = self.consent
        if consent and consent.at > as_of + MAX_CONSENT_SKEW:
            detail = "The consent lies in the future. Send the time at which the customer gave it."
            errors = [{"field": "consent.at", "reason": "future_dated", "detail": detail}]
            raise problem(422, detail, errors=errors)
        return Profile(
            self.name, self.phone, self.locale, self.time_zone, self.registered_at,
            consent_at=consent.at if consent else None, consent_source=consent.source if consent else None,
            consent_wording=consent.wording if consent else None,
        )  # fmt: skip


class ConsentView(BaseModel):
    """When and where the customer gave consent."""

    at: datetime
    source: str | None = Field(examples=["app settings"])


class MessageView(BaseModel):
    """The status of the message."""

    status: str = Field(description=f"One of {', '.join(MessageStatus)}.", examples=["delivered"])
    reason: str | None = Field(description="Why the message was skipped.", examples=[None])


class CampaignView(BaseModel):
    """The customer's numbers, segment and message in their last campaign."""

    window_start: datetime = Field(examples=["2026-09-14T00:00:00Z"])
    window_end: datetime = Field(examples=["2026-11-09T00:00:00Z"])
    status: str = Field(description=f"One of {', '.join(StatusKey)}.", examples=["sent"])
    status_label: str = Field(description="The status in words.", examples=["Sent"])
    sessions: int = Field(examples=[24])
    purchases: int = Field(examples=[5])
    total_spend: str = Field(examples=["83.50"])
    avg_weekly_sessions: float = Field(examples=[3.0])
    bucket: str = Field(description="The segment: a name from the campaign's own rules.", examples=["BOOST"])
    why: str = Field(
        description="What decided the segment, in words.", examples=["BOOST: spend 83.50 is below 100.00."]
    )
    message: MessageView | None = Field(description="None if the campaign has no message to the customer.")


class ConsentState(BaseModel):
    """Whether a customer may be texted: the answer to a key without the scope ``read``."""

    customer_id: int = Field(examples=[4711])
    registered_at: datetime
    consent: ConsentView | None
    opted_out_at: datetime | None = Field(examples=[None])
    suppressed: bool = Field(description="Whether the phone is on the suppression list, which is never texted.")


class CustomerView(ConsentState):
    """A customer's profile, and their last campaign."""

    name: str | None = Field(examples=["Ada Diaz"])
    phone: str | None = Field(description="The last two digits.", examples=["…23"])
    locale: str | None = Field(examples=["en-US"])
    time_zone: str | None = Field(examples=["America/New_York"])
    campaign: CampaignView | None


class ForgottenView(BaseModel):
    """What was removed."""

    events: int = Field(description="Events deleted.", examples=[29])
    messages: int = Field(description="Messages that no longer name a customer.", examples=[1])
