"""The page that is shown instead of another one when there is an error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from engage.pages.render import html
from engage.pages.viewer import Viewer

NOTHING_CHANGED = (
    "Nothing was changed. Try again in a moment; if the error stays, check the database of the Airflow connection "
    "engage_db."
)
NO_SCHEMA = (
    "Engage's database lacks a table or column that this version needs. Bring it up to date with "
    "`engage db upgrade`. While a campaign's step runs, a table may be missing for a moment; then try again."
)
NO_CONNECTION = (
    "Airflow has no connection engage_db, which names Engage's database. Add it under Admin, Connections, or as the "
    "environment variable AIRFLOW_CONN_ENGAGE_DB."
)
UNEXPECTED = (
    "Engage has a fault here. Try again; if the error stays, send the operator of Airflow this page's address and the "
    "time. The log of Airflow's api-server has the reason."
)
SENTENCES = {
    HTTPStatus.UNAUTHORIZED: "Log in to Airflow, then open this page again.",
    HTTPStatus.NOT_FOUND: "The address leads nowhere. It may be misspelt, or of an older version.",
}
"""Sentences of errors that have none of Engage's own."""


def error_page(title: str, sentence: str, *, log_in: str | None = None, **around: Any) -> str:
    """The HTML of a page with one sentence.

    ``log_in``: the address of the login, if that helps. ``around``: ``root`` and ``in_run``, as for every page.
    """
    return html("error.html", viewer=Viewer(), title=title, sentence=sentence, log_in=log_in, **around)
