"""Tasks: the frame that every task has around its one call into ``engage``.

It finds the run's window, opens the database and reads the Variables. It translates the outcome for the scheduler:

- a database that cannot be reached, or another run that computes the window at the same time: the task is retried;
- an error that the operator must fix: the task fails at once;
- nothing to do: the task is skipped;
- messages that must wait: the task is rescheduled.

At its end it mails the alerts that wait in the outbox.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import engage_alerts
import engage_links
from airflow.sdk import Asset, BaseOperatorLink, Variable, get_current_context, task
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSkipException,
)
from engage_run_window import log_window, window_of

from engage.airflow_names import DAG_ID
from engage.errors import EngageError, NoCustomers, NotReady, RunError
from engage.window import Window

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context

    from engage.campaigns.event_sums import SumEngine
    from engage.campaigns.run_options import RunOptions
    from engage.sending.providers import Account, SmsProvider
    from engage.sending.sender import SendingContext
    from engage.settings import Settings
    from engage.storage.database_clock import DatabaseClock

CONNECTION = "engage_db"
SMS_CONNECTION = "engage_sms"
CAMPAIGN = Asset("engage_campaign")
"""The asset for other DAGs to follow. Each event of it holds a campaign's window, and its messages by status."""

log = logging.getLogger(__name__)

J = TypeVar("J", bound="Job")


class AnotherRunAtWork(RuntimeError):
    """Another run computes the same window. It is no EngageError, so that the task is retried after it."""


@dataclass(frozen=True)
class Job:
    """What every task has: the time, the run's parameters, the database, the settings, the provider."""

    as_of: datetime
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def asset_extra(self) -> dict[str, str]:
        """What an asset event of the task holds, beside the result's counts."""
        return {}

    def after_other_runs(self) -> AbstractContextManager[None]:
        """Nothing: a task without a window does not meet other runs."""
        return nullcontext()

    @cached_property
    def engine(self) -> sa.Engine:
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        from engage.storage import connection

        return connection.connect(PostgresHook(CONNECTION).sqlalchemy_url)

    @cached_property
    def clock(self) -> DatabaseClock:
        """The database's clock, by which every age is measured."""
        from engage.storage.database_clock import DatabaseClock

        return DatabaseClock(self.engine)

    def settings(self, *names: str) -> Settings:
        """The settings in Airflow's Variables right now; with ``names`` only these are read."""
        from engage import settings

        return settings.from_variables(_variable_reader(), *names)

    def lateness_settings(self) -> Settings:
        """The setting by which a window is late right now. A wrong Variable does not stop the watch."""
        from engage import settings

        return settings.for_lateness(_variable_reader())

    @property
    def hash_key(self) -> bytes:
        from engage.texts import phone

        return phone.hash_key(os.environ.get("ENGAGE_HASH_KEY"))

    def provider_named(self, name: str) -> SmsProvider:
        """The provider of a name, with the account of Airflow's connection."""
        from engage.sending import providers

        return providers.provider(name, self._sms_account)

    def provider_or_reason(self, name: str) -> SmsProvider:
        """As ``provider_named``, for a user who waits for an answer.

        Raises:
            RunError: Airflow has no connection with an account, in words for that user.
        """
        try:
            return self.provider_named(name)
        except AirflowNotFoundException:
            raise RunError(
                f"Airflow has no connection {SMS_CONNECTION}, which names the account at the provider. Add it under "
                "Admin, Connections."
            ) from None

    @staticmethod
    def _sms_account() -> Account:
        from airflow.sdk import BaseHook

        from engage.sending.providers import Account

        connection = BaseHook.get_connection(SMS_CONNECTION)
        api = os.environ.get("ENGAGE_SMS_API")
        return Account.from_parts(connection.login, connection.password, connection.extra_dejson, api=api)


@dataclass(frozen=True)
class Run(Job):
    """A DAG run of one window, as the steps see it."""

    run_id: str
    run_type: str
    triggered_by: str | None
    window: Window
    params: dict[str, Any]

    @property
    def asset_extra(self) -> dict[str, str]:
        return {"window_start": self.window.start.isoformat(), "window_end": self.window.end.isoformat()}

    @property
    def options(self) -> RunOptions:
        from engage.campaigns.run_options import RunOptions

        switches = {name: self.params[name] for name in ("send_late", "dry_run", "ignore_guard")}
        return RunOptions(backfill=self.run_type == "backfill", by=self.triggered_by, **switches)

    @property
    def origin(self) -> dict[str, Any]:
        """What ``extract`` records of the run, and where it finds the source and the sums of events."""
        from engage_sources import source

        return {"as_of": self.as_of, "run_id": self.run_id, "source": source, "sums": self.sums}

    def sums(self) -> SumEngine:
        """The engine that sums up events in place of Postgres, if the settings say so."""
        from engage_spark import spark

        return spark(lambda: self.hash_key)

    @contextmanager
    def after_other_runs(self) -> Iterator[None]:
        """Have the task retried if another run of the window has undone what its step builds on.

        Raises:
            AnotherRunAtWork: the step was not ready, and another run may have done that.
        """
        try:
            yield
        except NotReady as exc:
            if other := self._other_run():
                raise AnotherRunAtWork(f"{exc} {other} computes the window at the same time.") from exc
            raise

    def _other_run(self) -> str | None:
        """What to call the run that may have undone the step's ground, if there is one.

        The campaign names only the run that extracted last. An earlier one may still redo a later step.
        """
        from engage.campaigns import campaign

        with self.engine.connect() as conn:
            found = campaign.find(conn, self.window)
        if found and found.run_id != self.run_id:
            return f"The run {found.run_id}"
        running = get_current_context()["ti"].get_dr_count(dag_id=DAG_ID, states=["running"])
        return "Perhaps another run" if running > 1 else None

    @property
    def sending_context(self) -> SendingContext:
        """What sending needs: the clock, the provider with its account, the Variables as they are at the time."""
        from engage.sending.sender import SendingContext

        def now() -> datetime:
            return self.clock()

        return SendingContext(now, self.provider_named, self.settings)


def _variable_reader() -> Callable[[str], str | None]:
    """Reads Airflow's Variables by key.

    It raises RuntimeError if Airflow lists a Variable but does not give its value. Airflow reports a failing API as a
    missing Variable. Its default would then text customers by thresholds that no operator chose.
    """
    from engage import settings

    listed = set(Variable.keys(prefix=settings.PREFIX))

    def read(key: str) -> str | None:
        value: str | None = Variable.get(key, default=None)
        if value is None and key in listed:
            raise RuntimeError(f"Airflow lists the Variable {key} but does not give its value; retrying.")
        return value

    return read


def step(**options: Any) -> Callable[[Callable[[Run], Any]], Any]:
    """Turn a function into a task. It takes the ``Run`` and returns a summary, which becomes the task's XCom."""
    return _task_with(current_run, options)


def job(**options: Any) -> Callable[[Callable[[Job], Any]], Any]:
    """Turn a function into a task that has no window. It takes the ``Job`` and returns a summary, as with ``step``."""
    return _task_with(_current_job, options)


def _task_with(current: Callable[[], J], options: dict[str, Any]) -> Callable[[Callable[[J], Any]], Any]:
    def decorate(function: Callable[[J], Any]) -> Any:
        def run_step() -> dict[str, Any]:
            with errors_as_outcomes():
                job = current()
                try:
                    with job.after_other_runs():
                        summary = asdict(function(job))
                finally:
                    if "engine" in vars(job):  # a task without a database has raised no alert
                        engage_alerts.deliver(job.engine, get_current_context())
            _report(job, summary, options.get("outlets", ()))
            return summary

        run_step.__doc__ = function.__doc__
        own = {
            "task_id": function.__name__,
            "doc_md": function.__doc__,
            "on_failure_callback": engage_alerts.task_failed,
        }
        return task(**own, **options)(run_step)

    return decorate


@contextmanager
def errors_as_outcomes(*, passing: type[EngageError] | tuple[()] = ()) -> Iterator[None]:
    """Translate an error into what the scheduler shall do. Any other error passes, and the task is retried.

    ``passing``: an error that the task handles itself.

    Raises:
        AirflowSkipException: there is nothing to do.
        AirflowFailException: the operator must fix something, so a retry is of no use.
    """
    from engage import process_signals

    try:
        with process_signals.interrupting():
            yield
    except passing:
        raise
    except NoCustomers as exc:
        raise AirflowSkipException(str(exc)) from None
    except EngageError as exc:
        raise AirflowFailException(str(exc)) from None
    except Exception as exc:
        if is_permanent(exc):
            raise AirflowFailException(f"The database refuses this, and would again: {exc}") from exc
        raise


def _report(job: Job, summary: dict[str, Any], assets: Sequence[Asset]) -> None:
    """Write the task's result to the log, and fill the events of its assets.

    Raises:
        AirflowRescheduleException: some messages must wait, so the task runs again later.
    """
    if summary.get("resume_at"):
        log.info("Some messages must wait; the task continues at %s", summary["resume_at"])
        raise AirflowRescheduleException(summary["resume_at"])
    counts = {name: value for name, value in summary.items() if not isinstance(value, str | None)}
    for asset in assets:
        get_current_context()["outlet_events"][asset].extra = job.asset_extra | counts
    log.info("%s", ", ".join(f"{name}: {value}" for name, value in summary.items() if value not in ("", None)))


class CampaignReport(BaseOperatorLink):
    """A button on the task. It opens the campaign's report in the tab of the run."""

    name = "Campaign report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return engage_links.report_path(ti_key)


def with_report_button(called: Any) -> Any:
    """Add the button ``CampaignReport`` to a task, and return the task."""
    called.operator.operator_extra_links = (CampaignReport(),)
    return called


def _current_job() -> Job:
    params = dict(_current_context()["params"])
    return Job(as_of=datetime.now(UTC), params=params)


def current_run() -> Run:
    """The run of the task that executes now.

    Raises:
        EngageError: the run was triggered with an unknown parameter, or its window is invalid.
    """
    context = _current_context()
    dag_run, params, as_of = context["dag_run"], dict(context["params"]), datetime.now(UTC)
    window = window_of(dag_run, params["window_start"], as_of)
    log_window(dag_run, window)
    return Run(
        run_id=dag_run.run_id,
        run_type=dag_run.run_type.value,
        triggered_by=dag_run.triggering_user_name,
        window=window,
        params=params,
        as_of=as_of,
    )


def _current_context() -> Context:
    context = get_current_context()
    _refuse_unknown(set(context["dag_run"].conf or {}), set(context["dag"].params))
    return context


def is_permanent(exc: Exception) -> bool:
    """Whether the database refuses the statement itself, so that a retry would fail as well."""
    from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

    return isinstance(exc, DataError | IntegrityError | ProgrammingError)


def _refuse_unknown(given: set[str], known: set[str]) -> None:
    if unknown := sorted(given - known):
        raise RunError(
            f"The run was triggered with {', '.join(map(repr, unknown))}, which Engage does not know; it knows "
            f"{', '.join(sorted(known)) or 'no parameter'}."
        )


def skip(reason: str) -> NoReturn:
    """End the task as skipped, with the reason in its log.

    Raises:
        AirflowSkipException: always.
    """
    raise AirflowSkipException(reason)
