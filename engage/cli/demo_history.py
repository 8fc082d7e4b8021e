"""``engage demo --history``: campaigns of several windows in a row, and a planted effect that the last report finds.

Only the last campaign runs in Airflow. The earlier ones run here, by a clock that shows the day after their window: a
campaign is measured only if its texts went out before the next window's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter

import sqlalchemy as sa

from engage import settings
from engage.campaigns import campaign, planted_effect
from engage.campaigns.run_options import RunOptions
from engage.cli.common import console, hash_key
from engage.cli.report import print_lift, print_report
from engage.clock import now
from engage.customers.synthetic import BEHAVIOURS, BehaviourName
from engage.errors import InputError
from engage.local.airflow_api import AirflowApi
from engage.local.demo import RNG_SEED, followed, refuse_waiting
from engage.reports.report import report
from engage.sending.ledger import MessageSummary
from engage.sending.sender import SendingContext
from engage.statuses import SkipReason
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.measure import measure
from engage.steps.message import message
from engage.steps.seed import seed
from engage.window import ANCHOR, Window

FEWEST, MOST = 2, 12
CUSTOMERS = 200_000
SEGMENT, EFFECT = "BOOST", "+30%"
HOLDOUT_PERCENT = 10
RUN_ID = "demo-history"
"""The run id of the earlier campaigns."""


def demonstrate(airflow: AirflowApi, windows: Sequence[Window], customers: int) -> bool:
    """Run the campaigns of these windows, and print the report of the last but one, which the last one measures.

    Returns whether the last one waits for an approver.

    Raises:
        InputError: one of the windows has a campaign with other data.
        RunFailed: a task failed; with its error. Or an earlier run waits for the approver.
    """
    refuse_waiting(airflow)
    *earlier, last = windows
    with airflow.stack.database() as engine:
        _refuse_other_campaigns(engine, windows)
        airflow.unpause()  # before there are customers, so that the scheduler's own run has nothing to do
        console.print(
            f"Running {len(windows)} campaigns in a row with {customers:,} synthetic customers and a holdout of "
            f"{HOLDOUT_PERCENT}%. All but the last run as if on the day after their window."
        )
        for window in earlier:
            _seed(engine, window, customers, first=window == windows[0])
            _run(engine, window)
        _seed(engine, last, customers, first=False)
    console.print(f"Campaign of {last}, in Airflow:")
    with airflow.variables({"engage_holdout_percent": str(HOLDOUT_PERCENT)}):
        run = followed(airflow, {"window_start": f"{last.start:%Y-%m-%d}", "send_late": True}, console)
    with airflow.stack.database() as engine:
        found = report(engine, earlier[-1])
    print_report(found)
    if found.lift:
        print_lift(found.lift)
    _print_what_was_planted(earlier[-1])
    return run.waits


def windows_until_now(number: int) -> list[Window]:
    """The last complete windows, the oldest first.

    Raises:
        InputError: so many windows are not over yet.
    """
    found = [Window.last_complete(now())]
    while len(found) < number and found[0].start > ANCHOR:
        found.insert(0, found[0].previous())
    if len(found) < number:
        raise InputError(f"--history is {number}, but only {len(found)} windows are over since {ANCHOR:%Y-%m-%d}.")
    return found


def _refuse_other_campaigns(engine: sa.Engine, windows: Sequence[Window]) -> None:
    """Refuse windows with a frozen campaign, as its events cannot be replaced, unless a history made it."""
    with engine.connect() as conn:
        found = [campaign.find(conn, window) for window in windows]
    *earlier, last = [one if one and one.frozen else None for one in found]
    others = [one for one in earlier if one and one.run_id != RUN_ID]
    if last and (earlier[-1] is None or last.require_settings().holdout_percent != HOLDOUT_PERCENT):
        others.append(last)
    if others:
        raise InputError(
            f"The window {others[0].window} has a frozen campaign with other data, so --history cannot run here. "
            "`make clean` removes all campaigns; then start it again."
        )


def _seed(engine: sa.Engine, window: Window, customers: int, *, first: bool) -> None:
    """Seed a window. No text comes before the ``first`` one, so no effect acts in it."""
    effects = {} if first else planted_effect.parse([f"{SEGMENT}={EFFECT}"])
    behaviour = BEHAVIOURS[BehaviourName.VARIED]
    seed(engine, window, customers, RNG_SEED, hash_key=hash_key(), behaviour=behaviour, effects=effects)


def _run(engine: sa.Engine, window: Window) -> None:
    """Run a past window's campaign as if on the day after the window, through the sandbox."""
    started = perf_counter()
    as_of = window.end + timedelta(days=1)
    chosen = settings.validate({"holdout_percent": str(HOLDOUT_PERCENT)})
    extract(engine, window, chosen, as_of=as_of, run_id=RUN_ID, options=RunOptions())
    aggregate(engine, window)
    measure(engine, window, as_of=as_of)
    bucket(engine, window)
    done = message(engine, window, options=RunOptions(), context=SendingContext(lambda: as_of))
    console.print(f"Campaign of {window}: {_counts(done)}, in {perf_counter() - started:.1f} s")


def _counts(done: MessageSummary) -> str:
    held_out = done.skipped_by_reason.get(SkipReason.HOLDOUT, 0)
    return f"{done.by_status.get('accepted', 0):,} texts, {held_out:,} customers held out"


def _print_what_was_planted(measured: Window) -> None:
    start, more = f"{measured.start:%Y-%m-%d}", EFFECT.lstrip("+")
    console.print(
        f"\nPlanted: customers texted as {SEGMENT} buy {more} more often in the next window, so they spend {more} more "
        "on average. Other texts change nothing."
    )
    console.print(
        f"What can be seen of it is in the report of the campaign of {start}: `engage report --window-start {start}`, "
        "or Campaigns in Airflow. Of 100 installations, about 95 show a 95% interval that holds the planted effect."
    )
