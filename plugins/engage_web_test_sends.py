"""*Send to me* on the page *Segments*: a text to a phone of the staff. A run of its own sends it."""

from __future__ import annotations

from uuid import UUID

import engage_web_audit
import engage_web_runs
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import SEE_BY_POST, SEND_TEST
from engage_web_database import Database, DatabaseNow, airflow_now
from engage_web_segments import Draft
from engage_web_settings import TheEditor
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from engage.pages import segments_page
from engage.sending import test_requests
from engage.sending.test_requests import TextToTry
from engage.statuses import SendTestStatus
from engage.texts.phone import masked

router = APIRouter()


class WantedTest(Draft):
    """The draft, and which of its texts goes to which phone. The page makes an id for each press of its button."""

    test_send_id: UUID
    segment: str = Field(max_length=100)
    example: str = Field(max_length=100)
    variant: str = Field(max_length=1)
    to: str = Field(max_length=100)


class KnownTest(BaseModel):
    """A test message by its id."""

    test_send_id: UUID


@router.post("/send-test", dependencies=SEND_TEST)
def send_test(
    wanted: WantedTest,
    engine: Database,
    editor: TheEditor,
    *,
    user: GetUserDep,
    session: SessionDep,
    now: DatabaseNow,
) -> JSONResponse:
    """Send a text of the draft to a phone of the staff, as the page shows it. An id that came before sends nothing.

    The number is in no log. Airflow's audit log has its last digits.
    """
    read, settings = segments_page.text_to_try(
        engine,
        editor,
        wanted.window,
        wanted.settings(),
        segment=wanted.segment,
        example=wanted.example,
        variant=wanted.variant,
    )
    text = TextToTry(wanted.segment, read.language, read.variant, read.sms.text)
    by = user.get_name()
    with engine.begin() as conn:
        if test_requests.request(conn, wanted.test_send_id, text, to=wanted.to, by=by, settings=settings, as_of=now):
            engage_web_runs.start_test(session, wanted.test_send_id, user=by, now=airflow_now())
            engage_web_audit.record(session, user, "send_test", segment=wanted.segment, to=masked(wanted.to.strip()))
    return JSONResponse({"detail": f"The test message to {masked(wanted.to.strip())} is on its way."})


@router.post("/test-send", dependencies=SEE_BY_POST)
def test_send(known: KnownTest, engine: Database, now: DatabaseNow) -> JSONResponse:
    """Where a test message is, in words. ``done``: it does not move any more."""
    with engine.connect() as conn:
        found = test_requests.find(conn, known.test_send_id, as_of=now)
    if found is None:  # an error status would be an error in the browser's console
        return JSONResponse({"detail": "There is no such test message.", "done": True, "sent": False})
    sent = found.status is SendTestStatus.ACCEPTED
    return JSONResponse({"detail": found.sentence, "done": not found.on_its_way, "sent": sent})
