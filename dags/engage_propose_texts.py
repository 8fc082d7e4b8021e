"""### Texts that a model drafts

The page *Segments* starts a run for each press of *Ask for texts*.

- `propose_texts` asks the model of the connection `engage_llm` once for texts for one segment. The request holds the
  rule, the offer and the texts in use, and nothing about a customer. What the model writes is checked and kept as
  drafts. No draft is sent before a person has approved it.

The page itself has, on a server, no way to the model. The tasks of a campaign have one, and so does this one.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param
from engage_steps import Job, job, skip

from engage.airflow_names import DRAFTS_DAG_ID
from engage.window import ANCHOR

with DAG(
    dag_id=DRAFTS_DAG_ID,
    schedule=None,
    start_date=ANCHOR,
    catchup=False,
    is_paused_upon_creation=False,  # a page starts it, and only if a user asks for it
    max_active_runs=4,
    doc_md=__doc__,
    tags=["engage", "texts"],
    default_args={
        "owner": "engage",
        "retries": 2,  # for the database; the model is asked at most once
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=6),
    },
    params={
        "proposal_id": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
            title="Request",
            description="The id that the page gives it. Without one the run asks for nothing.",
        ),
    },
) as dag:

    @job()
    def propose_texts(job: Job):
        """Ask the model for the texts of one request, and keep them as drafts."""
        from uuid import UUID

        from engage_model import endpoint

        from engage.drafts.propose import propose

        if not job.params["proposal_id"]:
            skip("The run has no request. The page Segments starts this DAG.")
        done = propose(job.engine, UUID(job.params["proposal_id"]), endpoint, job.settings, job.clock)
        return done.summary

    propose_texts()
