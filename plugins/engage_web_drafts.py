"""*Propose texts…* on the page *Segments*: a model drafts texts, and a user edits, approves and rejects them.

A run of its own asks the model. An approved text becomes one of its segment's texts in the Variable
``engage_messages``, with the check and the entry in the audit log that every change of a setting has. So its approver
counts as the setting's editor.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import engage_web_audit
import engage_web_runs
import sqlalchemy as sa
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import JUDGE_TEXTS, SEND_TEST
from engage_web_database import Database, DatabaseNow, airflow_now
from engage_web_settings import CODE_TEXT, TheEditor, next_campaign, store
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from engage.drafts import message_texts, proposals
from engage.drafts.message_texts import DraftedText
from engage.pages import segment_drafts
from engage.pages.settings_page import Editor
from engage.settings import Change
from engage.statuses import ProposalStatus

router = APIRouter()
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Text = Annotated[str, Field(max_length=4000)]
Name = Annotated[str, Field(max_length=100)]
MESSAGES = "messages"


class OfSegment(BaseModel):
    """A segment, by its name."""

    segment: Name


class Wanted(OfSegment):
    """What the user wants texts for. The page makes an id for each press of its button."""

    proposal_id: UUID
    offer: Text
    language: Name = ""
    count: int


class KnownProposal(BaseModel):
    """A request by its id."""

    proposal_id: UUID


class KnownDraft(BaseModel):
    """A drafted text by its id."""

    message_text_id: Id


class Judged(KnownDraft):
    """A drafted text, as the user saw it."""

    was: Text


class Edited(Judged):
    """A drafted text, and what the user has made of it."""

    text: Text


class Approved(Judged):
    """A drafted text, and the Variable of further texts as the user saw it."""

    messages: str | None = Field(max_length=CODE_TEXT)


@router.post("/drafts", dependencies=JUDGE_TEXTS)
def drafts(wanted: OfSegment, engine: Database, editor: TheEditor, now: DatabaseNow) -> JSONResponse:
    """The drafted texts of a segment, as HTML. It changes nothing."""
    with engine.connect() as conn:
        return JSONResponse({"detail": "", **segment_drafts.drafts_of(conn, editor, wanted.segment, as_of=now)})


@router.post("/drafts-propose", dependencies=SEND_TEST)
def propose(
    wanted: Wanted, engine: Database, editor: TheEditor, *, user: GetUserDep, session: SessionDep, now: DatabaseNow
) -> JSONResponse:
    """Start a run that asks a model for texts. An id that came before starts nothing."""
    wish = segment_drafts.wish(
        editor, wanted.segment, offer=wanted.offer, language=wanted.language, wanted=wanted.count
    )  # fmt: skip
    by = user.get_name()
    with engine.begin() as conn:
        if proposals.request(conn, wanted.proposal_id, wish, by=by, as_of=now):
            engage_web_runs.start_drafts(session, wanted.proposal_id, user=by, now=airflow_now())
            engage_web_audit.record(session, user, "propose_texts", segment=wish.segment, offer=wish.offer)
    return JSONResponse({"detail": "The request is on its way."})


@router.post("/drafts-proposal", dependencies=JUDGE_TEXTS)
def proposal(known: KnownProposal, engine: Database, now: DatabaseNow) -> JSONResponse:
    """Where a request is, in words. ``done``: it does not move any more."""
    with engine.connect() as conn:
        found = proposals.find(conn, known.proposal_id, as_of=now)
    if found is None:  # an error status would be an error in the browser's console
        return JSONResponse({"detail": "There is no such request.", "done": True, "failed": True})
    failed = found.status is ProposalStatus.FAILED
    return JSONResponse({"detail": found.sentence, "done": not found.is_open, "failed": failed})


@router.post("/draft-edit", dependencies=JUDGE_TEXTS)
def edit(
    judged: Edited, engine: Database, editor: TheEditor, *, user: GetUserDep, session: SessionDep, now: DatabaseNow
) -> JSONResponse:
    """Give a draft another text, and check that again."""
    settings, by = segment_drafts.settings_of(editor), user.get_name()
    with engine.begin() as conn:
        found = message_texts.edit(
            conn, judged.message_text_id, text=judged.text, was=judged.was, settings=settings, by=by, as_of=now
        )
        _record(session, user, "edit_draft", found)
        said = "The checks still refuse the draft." if found.faults else "The draft is kept, and may be approved."
        return _answer(conn, editor, found, said, now)


@router.post("/draft-approve", dependencies=JUDGE_TEXTS)
def approve(
    judged: Approved, engine: Database, editor: TheEditor, *, user: GetUserDep, session: SessionDep, now: DatabaseNow
) -> JSONResponse:
    """Make a draft one of its segment's texts, for the next campaign.

    The record of the approval is committed before the Variable, so that no draft is ever sent without one.
    """
    settings, by = segment_drafts.settings_of(editor), user.get_name()
    changes = []
    with engine.connect() as conn:
        found, messages = message_texts.approve(
            conn, judged.message_text_id, was=judged.was, settings=settings, by=by, as_of=now
        )
        if messages is not None:
            changes.append(Change(MESSAGES, messages, judged.messages))
            if refused := store(session, changes):
                return refused
            engage_web_audit.record(session, user, "settings", set=[MESSAGES], reset=[])
        _record(session, user, "approve_draft", found)
        conn.commit()
    _commit(session, engine, found)
    stored = {**editor.stored, **{one.name: one.value for one in changes if one.value is not None}}
    said = f"Text {found.variant} of {found.segment} is approved. {next_campaign(changes)}"
    with engine.connect() as conn:
        return _answer(conn, Editor(stored, editor.readable), found, said, now, current=messages)


@router.post("/draft-reject", dependencies=JUDGE_TEXTS)
def reject(
    judged: KnownDraft, engine: Database, editor: TheEditor, *, user: GetUserDep, session: SessionDep, now: DatabaseNow
) -> JSONResponse:
    """Reject a draft for good."""
    with engine.begin() as conn:
        found = message_texts.reject(conn, judged.message_text_id, by=user.get_name(), as_of=now)
        _record(session, user, "reject_draft", found)
        return _answer(conn, editor, found, "The draft is rejected.", now)


def _record(session: Session, user: BaseUser, event: str, found: DraftedText) -> None:
    engage_web_audit.record(
        session, user, event, segment=found.segment, variant=found.variant, message_text_id=found.message_text_id
    )


def _commit(session: Session, engine: sa.Engine, found: DraftedText) -> None:
    """Commit the Variable; if Airflow cannot, the approved text is a draft again."""
    try:
        session.commit()
    except Exception:
        with engine.begin() as conn:
            message_texts.reopen(conn, found.message_text_id)
        raise


def _answer(
    conn: sa.Connection, editor: Editor, found: DraftedText, said: str, now: datetime, *, current: str | None = None
) -> JSONResponse:
    """What was done, and the list of drafts after it. ``current``: the Variable of further texts, if it has changed."""
    changed = {} if current is None else {"current": {MESSAGES: current}}
    return JSONResponse(
        {"detail": said, **changed, **segment_drafts.drafts_of(conn, editor, found.segment, as_of=now)}
    )  # fmt: skip
