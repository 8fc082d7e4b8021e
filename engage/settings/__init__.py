"""The thresholds and switches that operations staff edit as Airflow Variables.

A run reads them once, at ``extract``. Every later step uses the snapshot in ``campaign.settings``.
"""

from engage.settings.changes import Change, applied, in_words, refusals
from engage.settings.groups import GROUPS, LABELS
from engage.settings.model import Settings
from engage.settings.validation import problems, usable, validate
from engage.settings.variables import (
    PREFIX,
    default_variables,
    descriptions,
    for_lateness,
    from_variables,
    markdown_table,
    texts,
)

__all__ = [
    "GROUPS",
    "LABELS",
    "PREFIX",
    "Change",
    "Settings",
    "applied",
    "default_variables",
    "descriptions",
    "for_lateness",
    "from_variables",
    "in_words",
    "markdown_table",
    "problems",
    "refusals",
    "texts",
    "usable",
    "validate",
]
