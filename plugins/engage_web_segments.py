"""The page *Segments*, and what its script asks. The Variables are set by ``engage_web_settings``."""

from __future__ import annotations

from typing import Annotated

import engage_model
from engage_web_access import SEE, SEE_BY_POST, TheViewer
from engage_web_database import Database, DatabaseNow, window_to_try
from engage_web_settings import TheEditor, Wanted
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from engage import segments
from engage.pages import segments_page
from engage.reports.segment_preview import SHOWN
from engage.segments.reading import MAX_SEGMENTS
from engage.settings import Change
from engage.window import Window

router = APIRouter()
CHANGES = 200
"""Most changes of a draft: rules of 20 segments may name 400 thresholds, but no one edits as many."""


Id = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Draft(BaseModel):
    """The settings that the user has changed on the page, and the window to count over."""

    window_start: str
    changes: list[Wanted] = Field(max_length=CHANGES)

    @property
    def window(self) -> Window:
        return window_to_try(self.window_start)

    def settings(self) -> list[Change]:
        """One change for each setting."""
        return [Change(one.name, one.value, one.was) for one in {one.name: one for one in self.changes}.values()]


class DraftOfTexts(Draft):
    """A draft with the customers who would read its texts, by segment."""

    customers: dict[str, Annotated[list[Id], Field(max_length=SHOWN)]] = Field(max_length=MAX_SEGMENTS + 1)


class Rules(BaseModel):
    """The JSON of rules, as the user pasted it."""

    text: str


@router.get("/segments", dependencies=SEE)
def page(
    engine: Database,
    viewer: TheViewer,
    editor: TheEditor,
    drafting: Annotated[bool, Depends(engage_model.exists)],
    window_start: str | None = None,
) -> HTMLResponse:
    """The page with the rules of the next campaign, counted over a past window or the running one."""
    window = window_to_try(window_start) if window_start else None
    return HTMLResponse(segments_page.segments_page(engine, viewer, editor, window, drafting=drafting))


@router.post("/segments-counts", dependencies=SEE_BY_POST)
def counts(draft: Draft, engine: Database, editor: TheEditor) -> JSONResponse:
    """What a draft means: errors by place, or the counts. It changes nothing."""
    return JSONResponse({"detail": "", **segments_page.counts(engine, editor, draft.window, draft.settings())})


@router.post("/segments-texted", dependencies=SEE_BY_POST)
def texted(draft: Draft, engine: Database, editor: TheEditor, now: DatabaseNow) -> JSONResponse:
    """How many customers of a draft may be texted. It changes nothing."""
    return JSONResponse({"detail": "", **segments_page.texted(engine, editor, draft.window, draft.settings(), now)})


@router.post("/segments-texts", dependencies=SEE_BY_POST)
def texts(draft: DraftOfTexts, engine: Database, viewer: TheViewer, editor: TheEditor) -> JSONResponse:
    """What a few customers would read with a draft, as HTML by segment. It changes nothing."""
    found = segments_page.read_texts(engine, viewer, editor, draft.window, draft.settings(), customers=draft.customers)
    return JSONResponse({"detail": "", "texts": found})


@router.post("/segments-read", dependencies=SEE_BY_POST)
def read(pasted: Rules) -> JSONResponse:
    """Read the JSON of rules, as the page's rows show them. It changes nothing."""
    try:
        rules = segments.parse(pasted.text)
    except ValueError as exc:  # an error status would be an error in the browser's console
        return JSONResponse({"detail": "", "wrong": f"{str(exc)[:1].upper()}{str(exc)[1:]}."})
    return JSONResponse({"detail": "", "rules": rules.to_json(), "thresholds": rules.thresholds})
