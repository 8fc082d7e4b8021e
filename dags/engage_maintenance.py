"""### Maintenance

Once a day, at 00:00 UTC: room for new events is made, and what was kept long enough is deleted.

- `maintain` makes the partitions of the current window and the next two; deletes idempotency keys after 7 days and the
  record of customers' texts after 90; and drops the events of windows older than the last `engage_keep_windows` (13)
  whose campaign is complete. The log names windows that are as old and stay because it is not.

What campaigns computed and sent stays. A run more, or one that was left out, does no harm.
"""

from datetime import timedelta

from airflow.sdk import DAG
from engage_steps import Job, job

from engage.window import ANCHOR

with DAG(
    dag_id="engage_maintenance",
    schedule="@daily",
    start_date=ANCHOR,
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["engage", "maintenance"],
    default_args={
        "owner": "engage",
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "execution_timeout": timedelta(hours=2),
    },
) as dag:

    @job()
    def maintain(job: Job):
        """Make partitions ahead, and delete what was kept long enough."""
        from engage.maintenance import maintain

        return maintain(job.engine, job.settings().keep_windows, as_of=job.as_of)

    maintain()
