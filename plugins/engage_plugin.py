"""The Airflow plugin: timetable, navigation and pages. Every Airflow process loads it, so it imports nothing heavy."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from engage_links import airflow_path
from engage_timetable import EngageTimetable

from engage.pages import static_files

PAGES = f"{airflow_path()}/engage"
ICON = f"{PAGES}/{static_files.address('icon.svg')}"


class EngagePlugin(AirflowPlugin):
    name = "engage"
    timetables = [EngageTimetable]
    external_views = [
        {"name": "Campaigns", "href": f"{PAGES}/", "url_route": "engage", "destination": "nav", "icon": ICON},
        {
            "name": "Campaign report",
            "href": f"{PAGES}/?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "url_route": "engage-report",
            "destination": "dag_run",
            "icon": ICON,
        },
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages. Only the api-server asks for them, so only the api-server imports them."""
        import engage_web

        return [{"app": engage_web.app, "url_prefix": "/engage", "name": "Engage"}]

    @property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:
        """The check of approvals. As with the pages, only the api-server imports it."""
        import engage_web_answers

        return [{"middleware": engage_web_answers.CheckedApprovals, "name": "Engage: who may approve"}]
