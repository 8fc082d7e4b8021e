"""### Test messages

The page *Segments* starts a run for each press of *Send to me*: it sends one text to a phone of the staff.

- `send_test` hands the text to the provider of `engage_sms_provider`, marked TEST, at most once. It goes only to a
  number of `engage_test_phones`, and never to a phone that has opted out.

The page itself has neither the key for phone numbers nor a way to the provider. The tasks of a campaign have both, and
so does this one. It belongs to no campaign: no ledger, count or cap knows of it.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param
from engage_steps import Job, job, skip

from engage.airflow_names import TEST_DAG_ID
from engage.window import ANCHOR

with DAG(
    dag_id=TEST_DAG_ID,
    schedule=None,
    start_date=ANCHOR,
    catchup=False,
    is_paused_upon_creation=False,  # a page starts it, and only if a user asks for it
    max_active_runs=16,
    doc_md=__doc__,
    tags=["engage", "sms"],
    default_args={
        "owner": "engage",
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=5),
    },
    params={
        "test_send_id": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
            title="Test message",
            description="The id that the page gives it. Without one the run sends nothing.",
        ),
    },
) as dag:

    @job()
    def send_test(job: Job):
        """Send one test message to a phone of the staff."""
        from uuid import UUID

        from engage.sending.test_sends import send

        if not job.params["test_send_id"]:
            skip("The run has no test message. The page Segments starts this DAG.")
        sent = send(
            job.engine,
            UUID(job.params["test_send_id"]),
            job.provider_or_reason,
            settings=job.settings("sms_provider", "test_phones"),
            hash_key=job.hash_key,
            clock=job.clock,
        )
        return sent.summary

    send_test()
