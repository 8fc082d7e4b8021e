"""The page *Texts and settings*, and the Variables that it checks and sets."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

import engage_web_audit
import engage_web_variables
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import SEE, SEE_BY_POST, TheViewer
from engage_web_database import Database
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field, model_validator
from sqlalchemy.orm import Session

from engage.pages import settings_page
from engage.pages.audit_log import SETTING_EVENTS
from engage.pages.audit_words import of_entry
from engage.pages.setting_fields import CODE
from engage.pages.settings_page import Editor
from engage.settings import Change, Settings, is_setting, label

router = APIRouter()
SHOWN = 20
"""Changes in the history on the page."""
MOST = 200
"""Settings that are saved at once."""
TEXT, CODE_TEXT = 4000, 50_000
"""Characters of a value, and of one that is JSON. Those of an allowed one are not more."""


class Wanted(BaseModel):
    """One changed setting; without ``value`` its Variable is deleted."""

    name: str
    value: str | None = Field(max_length=CODE_TEXT)
    was: str | None

    @model_validator(mode="after")
    def _short(self) -> Wanted:
        if self.name not in CODE and len(self.value or "") > TEXT:
            raise ValueError(f"The value has more than {TEXT} characters.")
        return self


class Changes(BaseModel):
    """The changed settings, as the user typed them."""

    changes: list[Wanted] = Field(max_length=MOST)
    back: bool = False
    """Whether they take earlier ones back."""

    def settings(self) -> list[Change]:
        """The changes of known settings, one for each."""
        known = {one.name: one for one in self.changes if is_setting(one.name)}
        return [Change(one.name, one.value, one.was) for one in known.values()]


def _editor(user: GetUserDep, session: SessionDep) -> Editor:
    stored = engage_web_variables.values(session)
    names = {*Settings.model_fields, *stored}
    readable = {name for name in names if engage_web_variables.may_read(user, name)}
    editable = {name for name in readable if engage_web_variables.may_edit(user, name)}
    overridden = readable & engage_web_variables.overriding().keys()
    seen = {name: value for name, value in stored.items() if name in readable}
    return Editor(seen, readable, editable, overridden, hidden=stored.keys() - readable)


TheEditor = Annotated[Editor, Depends(_editor)]


def _requires_all(editor: TheEditor) -> None:
    """A text is checked against other settings, so the answer needs them all."""
    if not editor.sees_all:
        raise HTTPException(HTTPStatus.FORBIDDEN, "You may not see the Variables.")


@router.get("/settings", dependencies=SEE)
def page(engine: Database, viewer: TheViewer, editor: TheEditor, user: GetUserDep, session: SessionDep) -> HTMLResponse:
    """The page with all settings."""
    history = None
    if engage_web_audit.may_read(user):
        entries = engage_web_audit.entries(session, SETTING_EVENTS, limit=SHOWN)
        history = [one for one in map(of_entry, entries) if one]
    return HTMLResponse(settings_page.settings_page(engine, viewer, replace(editor, history=history)))


@router.post("/settings-check", dependencies=[*SEE_BY_POST, Depends(_requires_all)])
def check(wanted: Changes, engine: Database, editor: TheEditor) -> JSONResponse:
    """What the unsaved changes mean: errors by setting, and the previews of the texts. It changes nothing."""
    return JSONResponse({"detail": "", **settings_page.check(engine, editor, wanted.settings())})


@router.post("/settings-save", dependencies=[*SEE_BY_POST, Depends(_requires_all)])
def save(wanted: Changes, editor: TheEditor, user: GetUserDep, session: SessionDep) -> JSONResponse:
    """Set and delete Variables, all or none, and leave an entry in the audit log with their names."""
    changes = wanted.settings()
    if not changes:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "There is nothing to save.")
    if not all(engage_web_variables.may_edit(user, one.name) for one in changes):
        raise HTTPException(HTTPStatus.FORBIDDEN, "You may not edit these Variables.")
    if refused := store(session, changes):
        return refused
    reset = [one.name for one in changes if one.value is None]
    engage_web_audit.record(
        session, user, "settings", set=[one.name for one in changes if one.name not in reset], reset=reset
    )
    if wanted.back:
        return JSONResponse({"detail": f"Taken back: {_names(changes)}."})
    detail = f"Saved: {_names(changes)}. {next_campaign(changes)}"
    return JSONResponse({"detail": detail, "undo": undo(changes)})


def store(session: Session, changes: list[Change]) -> JSONResponse | None:
    """Set and delete Variables, all or none. The answer says why nothing was saved; None if all was."""
    try:
        engage_web_variables.change(session, changes)
    except engage_web_variables.Outdated as exc:
        return _outdated(exc.current, changes)
    except engage_web_variables.Refused as exc:
        detail = "Nothing was saved. " + " ".join(exc.errors.values())
        return JSONResponse({"detail": detail, "errors": exc.errors}, HTTPStatus.BAD_REQUEST)
    return None


def next_campaign(changes: list[Change]) -> str:
    """Whether the next campaign takes the changes."""
    overriding = engage_web_variables.overriding()
    if not (useless := [one for one in changes if one.name in overriding]):
        return f"The next campaign takes {'it' if len(changes) == 1 else 'them'}."
    environment = ", ".join(engage_web_variables.environment_name(one.name) for one in useless)
    return (
        f"The next campaign does not take {_names(useless)}: Airflow's environment sets "
        f"{'it, and hides the Variable' if len(useless) == 1 else 'them, and hides the Variables'}. "
        f"Remove {environment} there first."
    )


def undo(changes: list[Change]) -> dict[str, object]:
    """The request that takes changes back."""
    body = [{"name": one.name, "value": one.was, "was": one.value} for one in changes]
    return {"action": "settings-save", "body": {"changes": body, "back": True}}


def _names(changes: list[Change]) -> str:
    return ", ".join(f"“{label(one.name)}”" for one in changes)


def _outdated(current: dict[str, str | None], changes: list[Change]) -> JSONResponse:
    """The answer to changes that another user was faster to make: nothing was saved."""
    names = _names([one for one in changes if one.was != current[one.name]])
    detail = f"Nothing was saved: another user has changed {names} meanwhile. Look at the new values, then save again."
    return JSONResponse({"detail": detail, "current": current}, HTTPStatus.CONFLICT)
