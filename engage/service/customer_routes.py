"""``/v1/customers/{id}``: store, opt out, forget and look up a customer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Request, Response
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from engage import parsing
from engage.customers import erasure, profile
from engage.errors import InputError
from engage.parsing import MAX_CUSTOMER_ID
from engage.reports import customer_history
from engage.service.context import Context
from engage.service.customer_models import ConsentState, CustomerView, ForgottenView, ProfileBody
from engage.service.problem_details import documented
from engage.service.strict_route import route_for
from engage.statuses import ApiScope


def _plain(text: object) -> object:
    try:
        return parsing.customer_id(str(text), least=1)
    except InputError:
        raise PydanticCustomError("invalid_id", "It takes a whole number from 1 on in plain digits.") from None


TheCustomer = Annotated[
    int,
    BeforeValidator(_plain),
    Path(ge=1, le=MAX_CUSTOMER_ID, description="The customer's id.", examples=[4711]),
]
_ALWAYS = (401, 403, 422, 429, 503)
_WITH_BODY = (*_ALWAYS, 400, 408, 413, 415)


def routes(context: Context) -> list[APIRouter]:
    """The routes of customers, one router for each scope."""
    write = APIRouter(prefix="/v1/customers", route_class=route_for(ApiScope.CUSTOMERS), tags=["customers"])
    read = APIRouter(prefix="/v1/customers", route_class=route_for(ApiScope.READ), tags=["customers"])
    begin: Callable[[], AbstractContextManager[sa.Connection]] = context.engine.begin

    @write.put(
        "/{customer_id}",
        summary="Store a customer",
        response_model=CustomerView | ConsentState,
        responses={
            200: {"description": "The customer was known. The profile is replaced."},
            201: {"model": CustomerView | ConsentState, "description": "The customer is new, and stored."},
            **documented(*_WITH_BODY, 409),
        },
    )
    def put_customer(customer_id: TheCustomer, body: ProfileBody, request: Request, response: Response) -> Any:
        """Add a customer, or replace their profile. Without `consent` they are not texted.

        A key without the scope `read` gets the consent and the opt-out only.

        A consent given after an opt-out ends the opt-out.
        """
        as_of = context.clock()
        with begin() as conn:
            new = profile.put(
                conn, customer_id, body.profile(as_of), hash_key=context.hash_key, as_of=as_of, actor=_actor(request)
            )
            response.status_code = 201 if new else 200
            return _seen(request, customer_history.view(conn, customer_id))

    @write.post(
        "/{customer_id}/opt-out",
        summary="Opt a customer out",
        response_model=CustomerView | ConsentState,
        responses={200: {"description": "The customer is opted out."}, **documented(*_WITH_BODY, 404)},
    )
    def opt_out(customer_id: TheCustomer, request: Request) -> Any:
        """Stop texts to everyone with the same phone, at once, even in a campaign that is being sent."""
        with begin() as conn:
            profile.opt_out(conn, customer_id, as_of=context.clock(), actor=_actor(request))
            return _seen(request, customer_history.view(conn, customer_id))

    @write.delete(
        "/{customer_id}",
        summary="Forget a customer",
        response_model=ForgottenView,
        responses={
            200: {"description": "The customer is forgotten, or was never known."},
            **documented(*_WITH_BODY, 409, _409="A message to the customer is being sent. Try again in a minute."),
        },
    )
    def forget_customer(customer_id: TheCustomer, request: Request) -> Any:
        """Remove the customer and their events, and never text the phone again. The campaigns' counts stay."""
        done = erasure.forget(context.engine, customer_id, as_of=context.clock(), actor=_actor(request))
        return {"events": done.events, "messages": done.messages}

    @read.get(
        "/{customer_id}",
        summary="Look up a customer",
        response_model=CustomerView,
        responses={200: {"description": "The customer."}, **documented(*_ALWAYS, 404)},
    )
    def get_customer(customer_id: TheCustomer) -> Any:
        """The customer's profile, and their numbers, bucket, reason and message in the last campaign."""
        with begin() as conn:
            return customer_history.view(conn, customer_id)

    return [write, read]


def _actor(request: Request) -> str:
    """The request's key, as the consent record names it."""
    return f"key {request.state.key.name}"


def _seen(request: Request, view: Any) -> Any:
    """What the request's key may see of a customer."""
    if ApiScope.READ in request.state.key.scopes:
        return view
    return ConsentState.model_validate(view, from_attributes=True)
