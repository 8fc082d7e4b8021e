"""What every task does around its one call into ``engage``.

It works out which window the run is about, if any, opens the database, and tells the scheduler what an outcome means:
database trouble is retried, anything a person has to mend fails at once, nothing to do skips, and what has to wait
comes back later. What somebody should know at once goes out as an alert.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import engage_alerts
import engage_links
from airflow.sdk import Asset, BaseOperatorLink, Variable, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException

from engage.errors import EngageError, NoCustomers, RunError
from engage.window import Window

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context

    from engage.campaigns.run_options import RunOptions
    from engage.sending.providers import Account, SmsProvider
    from engage.sending.sender import SendingContext
    from engage.settings import Settings

CONNECTION = "engage_db"
SMS_CONNECTION = "engage_sms"
CAMPAIGN = Asset("engage_campaign")
"""What other DAGs follow: each event of it tells a campaign's window, and its messages by status."""

log = logging.getLogger(__name__)

J = TypeVar("J", bound="Job")


@dataclass(frozen=True)
class Job:
    """What any task has at hand: the time, the database, the settings."""

    as_of: datetime

    @property
    def about(self) -> dict[str, str]:
        """What a DAG that follows the task's assets gets to know beside the result's counts."""
        return {}

    @cached_property
    def engine(self) -> sa.Engine:
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        from engage.storage import connection

        return connection.connect(PostgresHook(CONNECTION).sqlalchemy_url)

    def settings(self) -> Settings:
        """The settings as operations staff have them in Airflow's Variables right now.

        Raises:
            RuntimeError: Airflow has a Variable but does not give it. It answers a failing API as a missing Variable,
                and the default in its place would text people by thresholds that nobody chose.
        """
        from engage import settings

        listed = set(Variable.keys(prefix=settings.PREFIX))

        def read(key: str) -> str | None:
            value: str | None = Variable.get(key, default=None)
            if value is None and key in listed:
                raise RuntimeError(f"Airflow lists the Variable {key} but does not give its value; trying again.")
            return value

        return settings.from_variables(read)


@dataclass(frozen=True)
class Run(Job):
    """A DAG run about a window, as the steps see it."""

    run_id: str
    run_type: str
    triggered_by: str | None
    window: Window
    params: dict[str, Any]

    @property
    def about(self) -> dict[str, str]:
        return {"window_start": self.window.start.isoformat(), "window_end": self.window.end.isoformat()}

    @property
    def hash_key(self) -> bytes:
        from engage.texts import phone

        return phone.hash_key(os.environ.get("ENGAGE_HASH_KEY"))

    @property
    def options(self) -> RunOptions:
        from engage.campaigns.run_options import RunOptions

        switches = {name: self.params[name] for name in ("send_late", "dry_run", "ignore_guard")}
        return RunOptions(backfill=self.run_type == "backfill", by=self.triggered_by, **switches)

    @property
    def sending_context(self) -> SendingContext:
        """What sending needs: the clock, the provider with its account, the Variables of the moment."""
        from engage.sending import providers
        from engage.sending.sender import SendingContext

        def provider_named(name: str) -> SmsProvider:
            return providers.provider(name, self._sms_account)

        return SendingContext(lambda: datetime.now(UTC), provider_named, self.settings)

    @staticmethod
    def _sms_account() -> Account:
        from airflow.sdk import BaseHook

        from engage.sending.providers import Account

        connection = BaseHook.get_connection(SMS_CONNECTION)
        return Account.from_parts(connection.login, connection.password, connection.extra_dejson)


def step(**options: Any) -> Callable[[Callable[[Run], Any]], Any]:
    """Make a task of a function that takes the ``Run`` and returns a summary, which becomes the task's XCom."""
    return _task_with(current_run, options)


def job(**options: Any) -> Callable[[Callable[[Job], Any]], Any]:
    """As ``step``, of a function that is about no window: it takes the ``Job``."""
    return _task_with(_current_job, options)


def _task_with(current: Callable[[], J], options: dict[str, Any]) -> Callable[[Callable[[J], Any]], Any]:
    def decorate(function: Callable[[J], Any]) -> Any:
        def run_step() -> dict[str, Any]:
            with outcomes():
                job = current()
                summary = asdict(function(job))
            _tell(job, summary, options.get("outlets", ()))
            return summary

        run_step.__doc__ = function.__doc__
        own = {"task_id": function.__name__, "doc_md": function.__doc__, "on_failure_callback": engage_alerts.failed}
        return task(**own, **options)(run_step)

    return decorate


@contextmanager
def outcomes() -> Iterator[None]:
    """Tell the scheduler what an error of a task's work means.

    Raises:
        AirflowSkipException: there is nothing to do.
        AirflowFailException: a person has to mend something, so it is not tried again.
    """
    from engage import process_signals

    try:
        with process_signals.interrupting():
            yield
    except NoCustomers as exc:
        raise AirflowSkipException(str(exc)) from None
    except EngageError as exc:
        raise AirflowFailException(str(exc)) from None
    except Exception as exc:
        if is_permanent(exc):
            raise AirflowFailException(f"The database refuses this, and would again: {exc}") from exc
        raise


def _tell(job: Job, summary: dict[str, Any], assets: Sequence[Asset]) -> None:
    """Tell the log what came of the task, whoever has to know, and the DAGs that follow its assets.

    Raises:
        AirflowRescheduleException: some of it has to wait.
    """
    if summary.get("unknown_now"):
        engage_alerts.became_unknown(get_current_context(), summary["unknown_now"])
    if summary.get("halted_because"):
        engage_alerts.halted(get_current_context(), summary["halted_because"])
    if summary.get("resume_at"):
        log.info("Some messages have to wait; the task goes on at %s", summary["resume_at"])
        raise AirflowRescheduleException(summary["resume_at"])
    counts = {name: value for name, value in summary.items() if not isinstance(value, str | None)}
    for asset in assets:
        get_current_context()["outlet_events"][asset].extra = job.about | counts
    log.info("%s", ", ".join(f"{name}: {value}" for name, value in summary.items() if value not in ("", None)))


class CampaignReport(BaseOperatorLink):
    """A button on the task that opens the report on its campaign, in the tab of its run."""

    name = "Campaign report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return engage_links.report_path(ti_key)


def with_report(called: Any) -> Any:
    """The task, with a button that opens the campaign's report."""
    called.operator.operator_extra_links = (CampaignReport(),)
    return called


def _current_job() -> Job:
    _current_context()
    return Job(as_of=datetime.now(UTC))


def current_run() -> Run:
    """The run that the task at work belongs to.

    Raises:
        EngageError: the run was triggered with something that no run accepts.
    """
    context = _current_context()
    dag_run, params, as_of = context["dag_run"], dict(context["params"]), datetime.now(UTC)
    return Run(
        run_id=dag_run.run_id,
        run_type=dag_run.run_type.value,
        triggered_by=dag_run.triggering_user_name,
        window=window_of(dag_run, params["window_start"], as_of),
        params=params,
        as_of=as_of,
    )


def _current_context() -> Context:
    context = get_current_context()
    _refuse_unknown(set(context["dag_run"].conf or {}), set(context["dag"].params))
    return context


def window_of(dag_run: Any, window_start: str | None, as_of: datetime) -> Window:
    """The window a run is about: the one it names, else its data interval, else the last complete one.

    Raises:
        EngageError: not a complete window on the grid.
    """
    if window_start is not None:
        return Window.named(window_start, as_of)
    if dag_run.data_interval_start is None:
        return Window.last_complete(dag_run.run_after)
    window = Window.named(dag_run.data_interval_start, as_of)
    if window.end != dag_run.data_interval_end:
        raise RunError(f"The run's data interval ends {dag_run.data_interval_end}; its window ends {window.end}.")
    return window


def is_permanent(exc: Exception) -> bool:
    """Whether the database said that a statement is wrong, rather than that it could not serve it now."""
    from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

    return isinstance(exc, DataError | IntegrityError | ProgrammingError)


def _refuse_unknown(given: set[str], known: set[str]) -> None:
    if unknown := sorted(given - known):
        raise RunError(
            f"The run was triggered with {', '.join(map(repr, unknown))}, which Engage does not know; it knows "
            f"{', '.join(sorted(known)) or 'no parameter'}."
        )


def skip(reason: str) -> None:
    """End the task as skipped, saying why.

    Raises:
        AirflowSkipException: always.
    """
    raise AirflowSkipException(reason)
