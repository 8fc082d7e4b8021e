"""What Engage adds to Airflow. Loaded by every Airflow process, so it imports nothing heavy."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from engage_timetable import EngageTimetable


class EngagePlugin(AirflowPlugin):
    name = "engage"
    timetables = [EngageTimetable]
