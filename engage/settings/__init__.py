"""The thresholds and switches that operations staff edit as Airflow Variables.

A run reads them once, at ``extract``. Every later step uses the snapshot in ``campaign.settings``.
"""

from engage.settings.model import Settings
from engage.settings.validation import validate
from engage.settings.variables import PREFIX, default_variables, for_lateness, from_variables, markdown_table

__all__ = [
    "PREFIX",
    "Settings",
    "default_variables",
    "for_lateness",
    "from_variables",
    "markdown_table",
    "validate",
]
