"""The days of a campaign's report on Engage's pages: reasons for odd ones are given and taken back."""

from __future__ import annotations

from datetime import date

from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import CHANGE_RUNS, logged
from engage_web_database import Database, DatabaseNow, window_named
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from engage import parsing
from engage.campaigns import explained_days
from engage.errors import InputError
from engage.formats import counted
from engage.statuses import ExplainedSource

router = APIRouter()


class Days(BaseModel):
    """The first and the last day, of one window, and the kind of events."""

    window_start: str
    first: str
    last: str
    source: ExplainedSource = ExplainedSource.ALL

    @property
    def dates(self) -> tuple[date, date]:
        """The days.

        Raises:
            InputError: they are no days of the window.
        """
        window = window_named(self.window_start)
        first, last = (parsing.day(text) for text in (self.first, self.last))
        if not window.start <= first <= last < window.end:
            raise InputError(f"{self.first[:20]!r} to {self.last[:20]!r} are no days of the window {window}.")
        return first.date(), last.date()


class Explanation(Days):
    """The days to explain, and the reason."""

    why: str = Field(max_length=parsing.MAX_NOTE)


@router.post("/explain-days", dependencies=[*CHANGE_RUNS, logged("explain_days")])
def explain_days(wanted: Explanation, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Mark days as explained."""
    first, last = wanted.dates
    why = parsing.note(wanted.why, "The reason")
    with engine.begin() as conn:
        days = explained_days.explain(
            conn, first, last, source=wanted.source, reason=why, by=user.get_name(), as_of=now
        )
    return JSONResponse({"detail": f"Explained: {counted(days, 'day')}. If the guard had stopped the run, clear it."})


@router.post("/unexplain-days", dependencies=[*CHANGE_RUNS, logged("unexplain_days")])
def unexplain_days(wanted: Days, engine: Database) -> JSONResponse:
    """Take the reasons of days back."""
    first, last = wanted.dates
    with engine.begin() as conn:
        days = explained_days.unexplain(conn, first, last, source=wanted.source)
    return JSONResponse({"detail": f"Taken back: the reasons of {counted(days, 'day')}."})
