"""### Customer engagement

Every 8 weeks: sum up what customers did, put each in a segment, and text the segments that have a text.

- `seed` writes synthetic customers and events, only in a run triggered with *Seed*.
- `extract` takes the Variables `engage_*` as the campaign's settings, pulls from `engage_source`, counts events.
- `aggregate` sums up each customer's sessions, purchases and spend; customers without any have zeros.
- `measure` compares the customers whom the campaign before texted with its holdout, by what they did in this window.
- `bucket` puts each customer in a segment by the rules of `engage_segments`. Without that Variable, spend below
  `engage_low_spend_threshold` is **BOOST**; else more sessions a week than `engage_high_activity_threshold` is
  **REWARD**; else **NONE**.
- `approve` asks an approver about the list of messages, if `engage_require_approval` is on. No message goes out before.
- `message` queues a text for each customer in a segment with a text, then sends the queue, each message at most once.

Every task is idempotent, so any may be cleared or run again. Until the first message goes out, or the approver is
asked, a task replaces what it wrote. From then on the campaign is frozen, and a task changes nothing. A backfill
computes and records, but sends no message. The guard stops a run whose data look odd.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param
from engage_approval import CampaignApproval
from engage_params import window_start
from engage_steps import CAMPAIGN, Run, skip, step, with_report_button
from engage_timetable import EngageTimetable

from engage.airflow_names import DAG_ID
from engage.window import ANCHOR

with DAG(
    dag_id=DAG_ID,
    schedule=EngageTimetable(),
    start_date=ANCHOR,
    catchup=False,
    max_active_runs=16,  # a run that waits for an approver or for the morning must not hold up another window's run
    doc_md=__doc__,
    tags=["engage", "marketing", "sms"],
    default_args={
        "owner": "engage",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=2),
    },
    params={
        "seed": Param(False, type="boolean", title="Seed", description="Write synthetic data into the window first."),
        "customers": Param(10_000, type="integer", minimum=1, maximum=10_000_000, title="Synthetic customers"),
        "rng_seed": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=2**53 - 1,
            title="Random seed",
            description="The same seed, the same data.",
        ),
        "window_start": window_start(
            "First day of a complete 8-week window. Empty: the run's own window, or the last complete one."
        ),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Compute and record, queue nothing."),
        "send_late": Param(False, type="boolean", title="Send late", description="Text customers however late it is."),
        "ignore_guard": Param(False, type="boolean", title="Ignore guard", description="Text despite odd data."),
    },
) as dag:

    @step()
    def seed(run: Run):
        """Write synthetic customers and their events of the window, if the run was triggered with *Seed*."""
        from engage.steps.seed import log_progress, seed

        if not run.params["seed"]:
            skip("The run was not triggered with seed.")
        size, rng_seed = run.params["customers"], run.params["rng_seed"]
        return seed(run.engine, run.window, size, rng_seed, hash_key=run.hash_key, progress=log_progress)

    @step(trigger_rule="none_failed")
    def extract(run: Run):
        """Open the window's campaign, pull from its source of events if it has one, and count its events."""
        from engage.steps.extract import extract

        return extract(run.engine, run.window, run.settings(), options=run.options, **run.origin)

    @step()
    def aggregate(run: Run):
        """Sum up each customer's sessions, purchases and spend over the window."""
        from engage.steps.aggregate import aggregate

        return aggregate(run.engine, run.window, run.sums)

    @step()
    def measure(run: Run):
        """Measure what the texts of the campaign before did in this window."""
        from engage.steps.measure import measure

        done = measure(run.engine, run.window, as_of=run.as_of)
        if not done.measured:
            skip("There is nothing to measure: no campaign with a holdout sent texts before this window's end.")
        return done

    @step()
    def bucket(run: Run):
        """Put every customer in the segment that the campaign's rules give."""
        from engage.steps.bucket import bucket

        return bucket(run.engine, run.window)

    @step(execution_timeout=timedelta(hours=12), outlets=[CAMPAIGN], trigger_rule="none_failed_min_one_success")
    def message(run: Run):
        """Queue the window's messages, and send those that may be sent."""
        from engage.steps.message import message

        return message(run.engine, run.window, options=run.options, context=run.sending_context)

    seed() >> extract() >> (aggregated := aggregate()) >> measure()
    aggregated >> (bucketed := bucket())
    approve, messages = CampaignApproval(task_id="approve"), with_report_button(message())
    bucketed >> approve >> messages
    bucketed >> messages  # also if approve is skipped
