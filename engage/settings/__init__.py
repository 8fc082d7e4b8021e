"""The thresholds and switches that operations staff edit as Airflow Variables.

A run reads them once, at ``extract``. Every later step uses the snapshot in ``campaign.settings``.
"""

from engage.settings.changes import Change, applied, in_words, refusals
from engage.settings.custom import custom, message_name, names_of, rules_in, segment_of_text
from engage.settings.field_types import kept_threshold
from engage.settings.groups import GROUPS, LABELS, Group, groups, label
from engage.settings.meanings import description, title
from engage.settings.message_budget import MessageBudget
from engage.settings.model import STAFF, Settings, is_setting
from engage.settings.validation import problems, require_named, usable, validate
from engage.settings.variables import (
    PREFIX,
    default_variables,
    described,
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
    "STAFF",
    "Change",
    "Group",
    "MessageBudget",
    "Settings",
    "applied",
    "custom",
    "default_variables",
    "described",
    "description",
    "descriptions",
    "for_lateness",
    "from_variables",
    "groups",
    "in_words",
    "is_setting",
    "kept_threshold",
    "label",
    "markdown_table",
    "message_name",
    "names_of",
    "problems",
    "refusals",
    "require_named",
    "rules_in",
    "segment_of_text",
    "texts",
    "title",
    "usable",
    "validate",
]
