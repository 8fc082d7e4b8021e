"""The names and paths by which Airflow knows Engage, for DAGs, plugins, pages and the local stack."""

from __future__ import annotations

from urllib.parse import quote

DAG_ID = "customer_engagement"
"""The DAG whose runs are about a campaign."""
TEST_DAG_ID = "engage_test_send"
"""The DAG whose runs send a test message each."""
DRAFTS_DAG_ID = "engage_propose_texts"
"""The DAG whose runs ask a model for texts."""
MODEL_CONNECTION = "engage_llm"
"""The connection with the address of that model."""


def run_path(run_id: str, dag_id: str = DAG_ID) -> str:
    """The page of a run in Airflow's UI, below the path at which Airflow itself is served."""
    return f"/dags/{dag_id}/runs/{quote(run_id, safe='')}"
