"""### Maintenance

Once an hour: create partitions for new events, delete data older than their retention, and look after campaigns.

- `maintain` makes the partitions of the current window and the next two; deletes idempotency keys after 7 days and
  inbound texts and alerts after 90; and drops the events of windows older than the last `engage_keep_windows` (13)
  whose campaign is complete. A window of that age stays while its campaign is incomplete, and the log names it.

- `archive` writes the events of ended windows to `ENGAGE_ARCHIVE_URL` as Parquet, and erases forgotten customers there.
  With an archive, `maintain` drops a window only after the archive has all of it. Without one, `archive` skips.

- `watch` looks for windows whose customers were not texted in time, and for campaigns that cannot move on by
  themselves. It alerts the operators of each once, if two looks find it, and mails every alert that waits.

- `verify_consent`, once a day in the hour after 3:00 UTC, computes the hashes of the consent record again. If a row was
  changed or removed past Engage, it fails, and the operators get an alert.

- `live_window`, once a day in the hour after 4:00 UTC, computes the window that is still running with what is there so
  far, for the page *Campaigns*. No message comes of it.

- `train`, once after each campaign, learns the return score from all windows whose next window has results. Campaigns
  use it only if it ranks customers of later windows better than their spend does.

What campaigns computed and sent stays. Extra and missed runs do no harm.
"""

from datetime import timedelta

from airflow.sdk import DAG
from engage_steps import Job, job, skip

from engage.window import ANCHOR

with DAG(
    dag_id="engage_maintenance",
    schedule="@hourly",
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
        """Make partitions ahead, and delete data older than their retention."""
        from engage.archive import place
        from engage.maintenance import maintain

        keep = job.settings("keep_windows").keep_windows
        return maintain(job.engine, keep, as_of=job.clock(), archive=place.configured())

    @job()
    def archive(job: Job):
        """Write the events of ended windows to the archive, and erase forgotten customers there."""
        from engage.archive import place, write

        where = place.configured()
        if where is None:
            skip("There is no archive: ENGAGE_ARCHIVE_URL is not set.")
        now = job.clock()
        return write.archive(job.engine, where, as_of=now, recount=now.hour == 3)

    @job()
    def watch(job: Job):
        """Alert the operators of windows that were not texted, and mail the alerts that wait."""
        from engage import alert_outbox
        from engage.campaigns.watchdog import Watch, watch
        from engage.sending.delivery_health import report_poor_delivery

        now = job.clock()
        report_poor_delivery(job.engine, as_of=now)
        found = watch(job.engine, job.lateness_settings(), as_of=now)
        return Watch.of(found, alert_outbox.unmailed(job.engine, as_of=now))

    @job()
    def verify_consent(job: Job):
        """Once a day: find out whether a row of the consent record was changed or removed."""
        from engage.customers import consent_verification

        if job.clock().hour != 3:
            skip("The consent record is verified in the hour after 3:00 UTC.")
        return consent_verification.require_whole(job.engine)

    @job()
    def live_window(job: Job):
        """Once a day: compute the running window with what is there so far. No message comes of it."""
        from engage import live

        done = live.compute_if_due(job.engine, job.settings, as_of=job.clock())
        if done.skipped:
            skip(done.skipped)
        return done

    @job()
    def train(job: Job):
        """Once after each campaign: learn from past windows which customers buy in the next one."""
        from engage.campaigns import return_training

        done = return_training.train_if_due(job.engine, as_of=job.clock())
        if done.skipped:
            skip(done.skipped)
        return done

    maintain()
    archive()
    watch()
    verify_consent()
    live_window()
    train()
