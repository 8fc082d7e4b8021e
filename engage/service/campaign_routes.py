"""``/v1/campaigns/{window_start}/lift``: what a campaign's texts did."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path

from engage.errors import NotReady, WindowError
from engage.reports import report
from engage.service.campaign_models import LiftView
from engage.service.context import Context
from engage.service.problem_details import documented, problem
from engage.service.strict_route import route_for
from engage.statuses import ApiScope
from engage.window import Window

WindowStart = Annotated[date, Path(description="The first day of the campaign's window.", examples=["2026-09-14"])]


def routes(context: Context) -> APIRouter:
    """The route of campaigns."""
    router = APIRouter(prefix="/v1/campaigns", route_class=route_for(ApiScope.READ), tags=["campaigns"])

    @router.get(
        "/{window_start}/lift",
        summary="What a campaign's texts did",
        response_model=LiftView,
        responses={
            200: {"description": "The lift of each segment. None where a number may not be shown."},
            **documented(401, 403, 404, 422, 429, 503, _404="There is no campaign for that window."),
        },
    )
    def get_lift(window_start: WindowStart) -> Any:
        """Compare the texted customers with the holdout by what they did in the next window, once it is complete.

        Amounts are in cents. `engage report --json` has the same numbers.
        """
        with context.engine.begin() as conn:
            try:
                found = report.of(conn, Window.named(window_start, context.clock()))
            except (NotReady, WindowError) as exc:
                raise problem(404, str(exc)) from None
        return found.to_dict()["lift"]

    return router
