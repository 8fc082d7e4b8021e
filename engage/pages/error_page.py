"""The page that says why another one cannot be shown."""

from __future__ import annotations

from engage.pages.render import html

AWAY = (
    "Engage's database does not answer, or takes too long over this. Nothing was changed. Try again in a moment; if it "
    "goes on, look at the database that the Airflow connection engage_db names."
)
NO_SCHEMA = (
    "Engage's database has not all the tables that this version needs: bring it up to date with `python -m engage db "
    "upgrade`. If a step of a campaign is at work just now, they are there again in a moment."
)
NO_CONNECTION = (
    "Airflow has no connection engage_db, which says where Engage's database is. Add it under Admin, Connections, or "
    "as AIRFLOW_CONN_ENGAGE_DB."
)


def problem_page(title: str, sentence: str) -> str:
    """A page with one sentence."""
    return html("error.html", title=title, sentence=sentence)
