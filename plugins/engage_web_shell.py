"""What belongs to no page: the way in, the static files, and the gallery for contributors."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from engage_web_access import SEE, TheViewer
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, Response

from engage.pages import gallery as the_gallery
from engage.pages import opening, static_files

router = APIRouter()


@router.get("/", dependencies=SEE)
def index(dag_id: str | None = None, run_id: str | None = None) -> HTMLResponse:
    """The outline of a page, which goes on to the campaigns, or to the report of a DAG run.

    It asks no database, so that Airflow's frame is never empty.
    """
    if dag_id is None or run_id is None:
        return HTMLResponse(opening.opening("campaigns"))
    return HTMLResponse(opening.opening(f"run?{urlencode({'dag_id': dag_id, 'run_id': run_id})}", in_run=True))


@router.get("/gallery", dependencies=SEE)
def gallery(viewer: TheViewer) -> HTMLResponse:
    """Every macro in every state, for contributors."""
    return HTMLResponse(the_gallery.gallery(viewer))


@router.get("/static/{name}", dependencies=SEE)
def static(name: str) -> Response:
    """A style sheet, a script or the icon, by its name with the hash of its content."""
    found = static_files.find(name)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no file {name!r} in this version. Reload the page.")
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": static_files.KEEP})
