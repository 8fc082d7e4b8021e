"""Files of customers and events on Engage's pages: the page *Import*, the check of a file, and its import.

The server keeps nothing between two requests. A browser sends the file to be checked, and once more to be imported.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import IO, Annotated
from urllib.parse import unquote

import anyio
import engage_web_audit
import sqlalchemy as sa
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import FILE, SEE_CONNECTION, UPLOAD, TheViewer
from engage_web_database import DatabaseNow, ImportDatabase
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from engage.pages import import_page
from engage.pages.import_options import Wanted
from engage.pages.import_page import MOST_BYTES, Files, Outcome
from engage.texts import phone

router = APIRouter()
_BLOCK = 1 << 18
_one_at_a_time = anyio.CapacityLimiter(1)
"""So that imports leave Airflow's threads and its processors to the other pages."""


def _wanted(request: Request) -> Wanted:
    """What the user has chosen. It stands in a header: addresses go into logs, and a column's name may be a phone."""
    try:
        return Wanted.model_validate_json(unquote(request.headers.get("engage-import", "")))
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        sentence = f"The request has a value that is not allowed. {wrong}."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, sentence) from None


TheWanted = Annotated[Wanted, Depends(_wanted)]


@router.get("/import", dependencies=SEE_CONNECTION)
def import_file(viewer: TheViewer) -> HTMLResponse:
    """The form for a file, and what a file may hold."""
    return HTMLResponse(import_page.import_page(viewer))


@router.post("/import-check", dependencies=UPLOAD)
async def import_check(
    request: Request, wanted: TheWanted, engine: ImportDatabase, now: DatabaseNow
) -> StreamingResponse:
    """What a file would change, and its rejected rows. Nothing is changed."""
    return await _answered(request, partial(_load, engine, wanted, now))


@router.post("/import-apply", dependencies=UPLOAD)
async def import_apply(
    request: Request, wanted: TheWanted, engine: ImportDatabase, now: DatabaseNow, user: GetUserDep
) -> StreamingResponse:
    """Import a file. Airflow's audit log gets its name and the counts, and nothing that its rows hold."""
    return await _answered(request, partial(_load, engine, wanted, now, user))


def _load(engine: sa.Engine, wanted: Wanted, now: datetime, user: BaseUser | None = None, *, files: Files) -> Outcome:
    key = phone.hash_key(os.environ.get("ENGAGE_HASH_KEY")) if wanted.kind == "customers" else b""
    actor = user.get_name() if user is not None else None
    found = import_page.load(engine, files, wanted, apply=user is not None, hash_key=key, as_of=now, actor=actor)
    if user is not None:
        engage_web_audit.record_now(user, "import_file", kind=wanted.kind, file=wanted.file, **found.counts)
    return found


async def _answered(request: Request, work: partial[Outcome]) -> StreamingResponse:
    with ExitStack() as opened:
        try:
            files = Files(*(opened.enter_context(tempfile.TemporaryFile()) for _ in range(2)))
            await _receive(request, files.given)
            found = await anyio.to_thread.run_sync(partial(work, files=files), limiter=_one_at_a_time)
        except OSError as exc:
            sentence = (
                f"Airflow's server cannot keep the file for a moment: {exc.strerror}. Load it with engage import."
            )
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from exc
        report = json.dumps({"html": found.html}).encode()
        headers = {"Engage-Report-Bytes": str(len(report))}
        return StreamingResponse(_parts(report, files.rejected, opened.pop_all()), media_type=FILE, headers=headers)


async def _receive(request: Request, file: IO[bytes]) -> None:
    """Write the body of a request to a file."""
    announced, size = request.headers.get("content-length", ""), 0
    _refuse_large(int(announced) if announced.isdecimal() else 0)
    try:
        async for part in request.stream():
            size += len(part)
            _refuse_large(size)
            file.write(part)
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The upload broke off. Nothing was changed.") from None
    file.seek(0)


def _refuse_large(size: int) -> None:
    if size > MOST_BYTES:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, import_page.TOO_LARGE)


def _parts(report: bytes, rejected: IO[bytes], opened: ExitStack) -> Iterator[bytes]:
    """The report, and after it the rejected rows."""
    with opened:
        yield report
        while block := rejected.read(_BLOCK):
            yield block
