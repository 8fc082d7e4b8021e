"""What a task makes of its step's outcome: its result, a failure, a retry, a skip, a wait, or an asset event."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

import engage_steps
import pytest
import sqlalchemy as sa
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors
from engage_steps import CAMPAIGN, AnotherRunAtWork, Run
from sqlalchemy import exc

from engage import errors
from engage.airflow_names import DAG_ID
from engage.errors import EngageError, NoCustomers, NotReady
from tests.dags.alerts import WINDOW
from tests.dags.tasks import Summary, body

ENGAGE_ERRORS = [
    found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, EngageError) and found is not NoCustomers
]


@dataclass(frozen=True)
class Held:
    resume_at: datetime | None


def test_the_summary_of_a_step_is_the_tasks_result_as_plain_data(task_context):
    with task_context():
        assert body(lambda run: Summary(5, note="a note"))() == {"customers": 5, "note": "a note"}


@pytest.mark.parametrize("error", ENGAGE_ERRORS, ids=lambda error: error.__name__)
def test_an_error_for_the_operator_fails_the_task_at_once_with_its_sentence(task_context, monkeypatch, error):
    monkeypatch.setattr(Run, "_other_run", lambda run: None)

    def fail(run):
        raise error("What was wrong, and what is allowed.")

    with task_context(), pytest.raises(AirflowFailException, match=r"^What was wrong, and what is allowed\.$"):
        body(fail)()


def test_no_customers_at_all_skips_the_task_with_its_sentence(task_context):
    def fail(run):
        raise NoCustomers("There are no customers yet.")

    with task_context(), pytest.raises(AirflowSkipException, match=r"^There are no customers yet\.$"):
        body(fail)()


def test_a_step_may_skip_itself(task_context):
    with task_context(), pytest.raises(AirflowSkipException, match="not triggered with seed"):
        body(lambda run: engage_steps.skip("The run was not triggered with seed."))()


@pytest.mark.parametrize(
    "error",
    [
        sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused")),
        sa.exc.InternalError("SELECT 1", {}, Exception("deadlock")),
        ConnectionError("reset"),
        TimeoutError("too slow"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_is_left_to_the_tasks_retries(task_context, error):
    def fail(run):
        raise error

    with task_context(), pytest.raises(type(error)) as raised:
        body(fail)()
    assert raised.value is error


@pytest.mark.parametrize("kind", [exc.DataError, exc.IntegrityError, exc.ProgrammingError])
def test_what_the_database_refuses_for_good_is_not_retried(task_context, kind):
    def refused(run):
        raise kind("SELECT 1", {}, Exception("out of range"))

    with task_context(), pytest.raises(AirflowFailException, match="out of range"):
        body(refused)()


@pytest.mark.parametrize(("other", "error"), [("another run", AnotherRunAtWork), (None, AirflowFailException)])
def test_a_step_whose_ground_another_run_has_taken_away_is_retried(task_context, monkeypatch, other, error):
    def no_aggregates(run):
        raise NotReady("The window has no aggregates yet.")

    monkeypatch.setattr(Run, "_other_run", lambda run: other)
    with task_context(), pytest.raises(error, match="has no aggregates yet"):
        body(no_aggregates)()


@pytest.mark.parametrize(("running", "error"), [(2, AnotherRunAtWork), (1, AirflowFailException)])
def test_a_step_is_retried_after_a_run_that_opened_the_campaign_before_and_still_works_on_it(
    task_context, outbox, monkeypatch, running, error
):
    """The campaign's row names this run, which was the last to extract; the other one has redone a later step."""

    def no_aggregates(run):
        raise NotReady("The window has no aggregates yet.")

    asked = []
    ti = SimpleNamespace(get_dr_count=lambda **query: asked.append(query) or running)
    monkeypatch.setattr(Run, "engine", outbox)
    conf = {"window_start": f"{WINDOW.start:%Y-%m-%d}"}
    with task_context(ti=ti, conf=conf), pytest.raises(error, match="has no aggregates yet"):
        body(no_aggregates)()
    assert asked == [{"dag_id": DAG_ID, "states": ["running"]}]


def test_a_step_that_has_to_wait_comes_back_at_its_moment_instead_of_sleeping(task_context):
    moment = datetime(2026, 2, 10, 13, tzinfo=UTC)
    with task_context(), pytest.raises(AirflowRescheduleException) as raised:
        body(lambda run: Held(moment))()
    assert raised.value.reschedule_date == moment
    with task_context():
        assert body(lambda run: Held(None))() == {"resume_at": None}


def test_sigterm_ends_a_step_as_ctrl_c_does_so_that_it_can_leave_everything_in_order(task_context):
    before = signal.getsignal(signal.SIGTERM)
    with task_context(), pytest.raises(KeyboardInterrupt):
        body(lambda run: signal.raise_signal(signal.SIGTERM))()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_step_becomes_a_task_of_the_functions_name_and_words(dag):
    """With options of its own beside the DAG's."""
    task = dag.get_task("message")
    assert task.doc_md == "Queue the window's messages, and send those that may be sent."
    assert task.execution_timeout > dag.get_task("bucket").execution_timeout


# --- what other DAGs receive


def test_an_asset_event_of_a_step_has_its_window_and_its_counts_and_no_text(task_context):
    with task_context({"window_start": "2025-01-06"}):
        outlet_events = get_current_context()["outlet_events"] = OutletEventAccessors()
        body(lambda run: Summary(5, note="a note"), outlets=[CAMPAIGN])()
    assert outlet_events[CAMPAIGN].extra == {
        "window_start": "2025-01-06T00:00:00+00:00",
        "window_end": "2025-03-03T00:00:00+00:00",
        "customers": 5,
    }


def test_a_step_that_has_to_wait_has_no_asset_event_yet(task_context):
    with task_context():
        outlet_events = get_current_context()["outlet_events"] = OutletEventAccessors()
        with pytest.raises(AirflowRescheduleException):
            body(lambda run: Held(datetime(2026, 2, 10, 13, tzinfo=UTC)), outlets=[CAMPAIGN])()
    assert outlet_events[CAMPAIGN].extra == {}
