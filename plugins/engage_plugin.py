"""What Engage adds to Airflow. Loaded by every Airflow process, so it imports nothing heavy."""

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
        """The pages; only the api-server asks for them, and only there are they imported."""
        import engage_web

        return [{"app": engage_web.app, "url_prefix": "/engage", "name": "Engage"}]
