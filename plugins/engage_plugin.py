"""The Airflow plugin: timetable, navigation and pages. Every Airflow process loads it, so it imports nothing heavy."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from engage_links import airflow_path
from engage_timetable import EngageTimetable

PAGES = f"{airflow_path()}/engage"


class EngagePlugin(AirflowPlugin):
    name = "engage"
    timetables = [EngageTimetable]
    external_views = [
        {"name": "Campaigns", "href": f"{PAGES}/campaigns", "url_route": "engage", "destination": "nav"},
        {
            "name": "Campaign report",
            "href": f"{PAGES}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "url_route": "engage-report",
            "destination": "dag_run",
        },
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages. Only the api-server asks for them, so only the api-server imports them."""
        import engage_web

        return [{"app": engage_web.app, "url_prefix": "/engage", "name": "Engage"}]
