"""Parameters of the DAG that need more than one line."""

from __future__ import annotations

from airflow.sdk import Param

WITHOUT_ZEROS = "^[0-9]{4}-([0-9]-[0-9]{1,2}|[0-9]{2}-[0-9])$"
"""A date as it is typed by hand, such as 2026-9-14. The run's first task checks that it is a window's start."""


def window_start(description: str) -> Param:
    """The first day of a window, or None. Airflow's form shows a calendar for it.

    The form looks at ``format``, and so would the validation, which takes 2026-09-14 only. Up to draft 7 of JSON Schema
    the validation looks at nothing beside ``$ref``.
    """
    return Param(
        None,
        description,
        **{
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/start",
            "definitions": {
                "start": {
                    "anyOf": [
                        {"type": "null"},
                        {"type": "string", "format": "date"},
                        {"type": "string", "pattern": WITHOUT_ZEROS},
                    ]
                }
            },
            "type": ["null", "string"],
            "format": "date",
            "title": "Window start",
        },
    )
