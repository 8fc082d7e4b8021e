"""The page that is shown instead of another one when there is an error."""

from __future__ import annotations

from engage.pages.render import html

NOTHING_CHANGED = (
    "Nothing was changed. Try again in a moment; if the error stays, check the database of the Airflow connection "
    "engage_db."
)
NO_SCHEMA = (
    "Engage's database lacks a table or column that this version needs. Bring it up to date with `python -m engage db "
    "upgrade`. While a campaign's step runs, a table may be missing for a moment; then try again."
)
NO_CONNECTION = (
    "Airflow has no connection engage_db, which names Engage's database. Add it under Admin, Connections, or as the "
    "environment variable AIRFLOW_CONN_ENGAGE_DB."
)


def error_page(title: str, sentence: str) -> str:
    """The HTML of a page with one sentence."""
    return html("error.html", title=title, sentence=sentence)
