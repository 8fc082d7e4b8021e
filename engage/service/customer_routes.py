"""``/v1/customers/{id}``: what the app tells of a customer, what they want, and what a campaign made of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

import sqlalchemy as sa
from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from engage.customers import erasure, profile
from engage.customers.profile import Profile
from engage.reports import customer_history
from engage.service.context import Context
from engage.service.event_models import MAX_ID, Printable, Time
from engage.service.problem_details import documented
from engage.service.request_body import route_for
from engage.statuses import MessageStatus
from engage.texts import phone

TheCustomer = Annotated[int, Path(ge=1, le=MAX_ID, description="The customer's number.", examples=[4711])]
_ALWAYS = (401, 403, 422, 429, 503)
_WITH_BODY = (*_ALWAYS, 400, 408, 413, 415)


def _e164(text: str) -> str:
    if not phone.is_valid(text):
        raise PydanticCustomError("invalid_phone", "It takes a valid number in E.164, such as +12025550123.")
    return text


_known_zones = cache(available_timezones)


def _zone(text: str) -> str:
    if text not in _known_zones():
        raise PydanticCustomError("invalid_time_zone", "It takes an IANA time zone such as America/New_York.")
    return text


class Consent(BaseModel):
    """The customer's consent to be texted: where and when they gave it."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(min_length=1, max_length=200, examples=["app settings"]), Printable]
    at: Time


class ProfileBody(BaseModel):
    """All that the app knows of the customer; what is left out is not known, and consent left out is withdrawn."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200, examples=["Ada Diaz"]), Printable] | None = None
    phone: Annotated[
        str, Field(pattern=r"^\+[1-9][0-9]{1,14}$", examples=["+12025550123"]), AfterValidator(_e164)
    ] | None = None  # fmt: skip
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)] | None = None
    time_zone: Annotated[str, Field(max_length=64, examples=["America/New_York"]), AfterValidator(_zone)] | None = None
    registered_at: Time | None = Field(None, description="Left out: the first time that Engage hears of them.")
    consent: Consent | None = None

    def profile(self) -> Profile:
        """The same, without the form of the request."""
        consent = self.consent
        return Profile(
            self.name, self.phone, self.locale, self.time_zone, self.registered_at,
            consent_at=consent.at if consent else None, consent_source=consent.source if consent else None,
        )  # fmt: skip


class ConsentView(BaseModel):
    """When and where the customer consented."""

    at: datetime
    source: str | None


class MessageView(BaseModel):
    """What became of the message."""

    status: str = Field(description=f"One of {', '.join(MessageStatus)}.")
    reason: str | None = Field(description="Why it was skipped, if so.")


class CampaignView(BaseModel):
    """What the last campaign with this customer made of them."""

    window_start: datetime
    window_end: datetime
    status: str
    sessions: int
    purchases: int
    total_spend: str = Field(examples=["83.50"])
    avg_weekly_sessions: float
    bucket: str = Field(examples=["BOOST"])
    why: str
    message: MessageView | None = Field(description="None for customers who are not to be texted.")


class CustomerView(BaseModel):
    """What is known of a customer."""

    customer_id: int
    registered_at: datetime
    name: str | None
    phone: str | None = Field(description="Its last two digits.", examples=["…23"])
    locale: str | None
    time_zone: str | None
    consent: ConsentView | None
    opted_out_at: datetime | None
    suppressed: bool = Field(description="Whether the phone is on the list of those that are never texted.")
    campaign: CampaignView | None


class ForgottenView(BaseModel):
    """What forgetting has changed."""

    events: int = Field(description="Events deleted.")
    messages: int = Field(description="Messages made nobody's.")


def routes(context: Context) -> list[APIRouter]:
    """The routes of customers, by the scope that they take."""
    write = APIRouter(prefix="/v1/customers", route_class=route_for("customers"), tags=["customers"])
    read = APIRouter(prefix="/v1/customers", route_class=route_for("read"), tags=["customers"])
    begin: Callable[[], AbstractContextManager[sa.Connection]] = context.engine.begin

    @write.put(
        "/{customer_id}",
        summary="Tell of a customer",
        response_model=CustomerView,
        responses={201: {"model": CustomerView, "description": "A new customer"}, **documented(*_WITH_BODY, 409)},
    )
    def put_customer(customer_id: TheCustomer, body: ProfileBody, response: Response) -> Any:
        """Add a customer, or replace what was known. Without `consent` they are not texted.

        A consent that was given after an opt-out ends the opt-out.
        """
        with begin() as conn:
            new = profile.put(conn, customer_id, body.profile(), hash_key=context.hash_key, as_of=context.clock())
            response.status_code = 201 if new else 200
            return customer_history.view(conn, customer_id)

    @write.post(
        "/{customer_id}/opt-out",
        summary="Text a customer no more",
        response_model=CustomerView,
        responses=documented(*_WITH_BODY, 404),
    )
    def opt_out(customer_id: TheCustomer) -> Any:
        """Holds for everybody with the same phone, at once, also for a campaign that is being sent."""
        with begin() as conn:
            profile.opt_out(conn, customer_id, as_of=context.clock())
            return customer_history.view(conn, customer_id)

    @write.delete(
        "/{customer_id}",
        summary="Forget a customer",
        response_model=ForgottenView,
        responses=documented(*_WITH_BODY, 409),
    )
    def forget_customer(customer_id: TheCustomer) -> Any:
        """Remove the customer and their events, and never text the phone again. The counts of campaigns stay."""
        done = erasure.forget(context.engine, customer_id, as_of=context.clock())
        return {"events": done.events, "messages": done.messages}

    @read.get(
        "/{customer_id}",
        summary="Look up a customer",
        response_model=CustomerView,
        responses=documented(*_ALWAYS, 404),
    )
    def get_customer(customer_id: TheCustomer) -> Any:
        """What is known, and the last campaign's numbers, bucket, reason and message."""
        with begin() as conn:
            return customer_history.view(conn, customer_id)

    return [write, read]
