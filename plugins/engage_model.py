"""The model that drafts texts, as Airflow's connection ``engage_llm`` names it."""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from engage.airflow_names import MODEL_CONNECTION
from engage.drafts.endpoint import ModelEndpoint
from engage.errors import RunError


def endpoint() -> ModelEndpoint:
    """The model's address and key. It contacts no server.

    Raises:
        RunError: Airflow has no such connection, in words for a user who waits.
        InputError: the connection lacks something, or has what is not allowed.
    """
    try:
        found = BaseHook.get_connection(MODEL_CONNECTION)
    except AirflowNotFoundException:
        raise RunError(
            f"Airflow has no connection {MODEL_CONNECTION}, which names the model that drafts texts. Add it under "
            "Admin, Connections; docs/drafts.md says how."
        ) from None
    return ModelEndpoint.from_parts(
        found.host,
        found.password,
        found.extra_dejson,
        scheme=found.schema,
        port=found.port,
        source=f"the connection {MODEL_CONNECTION}",
    )


def exists() -> bool:
    """Whether Airflow has the connection, for a page that offers to ask the model."""
    try:
        BaseHook.get_connection(MODEL_CONNECTION)
    except AirflowNotFoundException:
        return False
    return True
