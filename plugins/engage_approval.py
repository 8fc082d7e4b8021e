"""The task ``approve``: asks the approver about a campaign's messages, in Airflow under Required Actions.

The campaign row keeps the approval. This task asks the question, and records the answer there.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import engage_alerts
import engage_links
import engage_steps
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput

from engage.errors import ApproverRefused

if TYPE_CHECKING:
    from airflow.sdk import Context

    from engage.steps.approve import Question

log = logging.getLogger(__name__)

LONGEST_REASON = 500
REASON = Param(
    None,
    type=["null", "string"],
    maxLength=LONGEST_REASON,
    title="Reason",
    description="Why the list is rejected. The campaign keeps it.",
)
"""The field for the approver in Airflow's form. Its default is none, as an empty text would disable the buttons."""


class CampaignApproval(ApprovalOperator):
    """Asks the approver whether the campaign's messages may go out, and waits. It skips itself if no answer is needed.

    The tasks after it are skipped if the approver rejects the list, or does not answer in time.
    """

    def __init__(self, **options: Any) -> None:
        options.pop("params", None)  # those of the DAG, which Airflow adds again
        super().__init__(
            subject="May these messages go out?",
            defaults=self.REJECT,
            response_timeout=timedelta(hours=48),  # until execute takes the campaign's own
            params={"reason": REASON},
            doc_md="Ask the approver whether the campaign's messages may go out, if approval is required.",
            on_failure_callback=engage_alerts.task_failed,
            **options,
        )

    def execute(self, context: Context) -> None:
        """Freeze the list and ask the question.

        Raises:
            AirflowSkipException: there is no question, for example because no approval is required.
            TaskAwaitingInput: always, to wait for the answer without a process.
        """
        from engage.steps import approve

        with engage_steps.errors_as_outcomes():
            run = engage_steps.current_run()
            with run.after_other_runs():
                asked = approve.ask(run.engine, run.window, options=run.options, run_id=run.run_id, as_of=run.as_of)
        if not asked.messages:
            engage_steps.skip(asked.note)
        total = sum(asked.messages.values())
        self.subject = f"May {total:,} messages about {run.window} go out?"
        self.body = body(asked, engage_links.report_url(context["ti"]))
        self.response_timeout = timedelta(hours=asked.hours)
        # Before the question appears, as Airflow loses an answer that comes before this process has ended. It then asks
        # again, and so does this mail.
        engage_alerts.deliver(run.engine, context)
        self._park(context, (datetime.now(UTC) + self.response_timeout).isoformat())

    def _park(self, context: Context, deadline: str | None) -> None:
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            parked.kwargs = {**(parked.kwargs or {}), "deadline": deadline}
            raise

    def execute_complete(self, context: Context, event: dict[str, Any], deadline: str | None = None) -> Any:
        """Record the answer, then let Airflow act on it. An answer after the deadline is none.

        Raises:
            TaskAwaitingInput: a user approved who may not approve, so the task goes on waiting for an answer.
        """
        if "error" not in event:
            event = self._in_time(event, deadline) | {"params_input": {"reason": _reason(event)}}
            try:
                self._record(context, event)
            except ApproverRefused as exc:
                log.warning("%s The question stays open.", exc)
                self._ask_again(context, deadline)
        return super().execute_complete(context, event)

    def _ask_again(self, context: Context, deadline: str | None) -> None:
        """Have Airflow remove the answer and wait for another one, until the same deadline.

        Airflow's scheduler takes silence for a rejection at the deadline, also if it has passed meanwhile.
        """
        if deadline is not None:
            self.response_timeout = max(datetime.fromisoformat(deadline) - datetime.now(UTC), timedelta(seconds=1))
        self._park(context, deadline)

    def _in_time(self, event: dict[str, Any], deadline: str | None) -> dict[str, Any]:
        """The event, or that of a question without an answer. Airflow takes answers until its scheduler looks."""
        approver, at = event.get("responded_by_user"), event.get("responded_at")
        if approver is None or deadline is None or at is None or at <= datetime.fromisoformat(deadline):
            return event
        log.warning(
            "The answer of %s came %s, after the deadline %s. It does not count.", approver["name"], at, deadline
        )
        return {**event, "chosen_options": [self.REJECT], "responded_by_user": None}

    def _record(self, context: Context, event: dict[str, Any]) -> None:
        from engage.steps import approve

        approver = event.get("responded_by_user")
        with engage_steps.errors_as_outcomes(passing=ApproverRefused):
            run = engage_steps.current_run()
            given = approve.answer(
                run.engine,
                run.window,
                approved=event["chosen_options"] == [self.APPROVE],
                by=str(approver["name"]) if approver else None,
                run_id=run.run_id,
                as_of=run.as_of,
                reason=_reason(event),
            )
        log.info("%s", given.sentence)
        engage_alerts.deliver(run.engine, context)


def _reason(event: dict[str, Any]) -> str | None:
    """The approver's reason on one line, as far as it can be shown; None without one."""
    found = (event.get("params_input") or {}).get("reason")
    line = " ".join(str(found).split()) if isinstance(found, str) else ""
    return "".join(filter(str.isprintable, line))[:LONGEST_REASON] or None


def body(asked: Question, report: str) -> str:
    """The question in Markdown. A message's text is set as code, so that no markup in it has an effect."""
    waiting = ", ".join(f"**{count:,}** to {name}" for name, count in asked.messages.items())
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in asked.skipped.items()) or "no customer"
    texts = (_text_to(name, asked) for name in asked.texts)
    found = [asked.guard] if asked.guard else []
    shares = [f"Thresholds that adapt:\n\n{_as_code(asked.shares)}"] if asked.shares else []
    unread = [f"No customer on the list reads the text {name}.{_warnings(name, asked)}" for name in asked.unread]
    return "\n\n".join(
        (
            f"Messages: {waiting}; at most {asked.segments:,} SMS segments{_cost(asked)}. Not on the list: {skipped}.",
            *shares,
            *found,
            *texts,
            *unread,
            *_who_may(asked),
            f"[The campaign's report]({report})",
            "*Approve* sends exactly this list, less customers who may no longer be texted by then. *Reject*, or no "
            f"answer within {asked.hours} hours, sends no message. The campaign is then open again, and the next run "
            "computes it anew.",
        )
    )


def _who_may(asked: Question) -> list[str]:
    if not asked.who_may:
        return []
    return [
        f"Before you answer:\n\n{_as_code(asked.who_may)}",
        "*Review…* on the report says which of them may, and why. To all others this page says *Access Denied*.",
    ]


def _cost(asked: Question) -> str:
    from engage.currency import currency
    from engage.formats import money

    limit = f"; the budget is {asked.budget}" if asked.budget else ""
    most = "" if asked.cost is None else f", which cost at most {money(asked.cost, currency())}"
    return most + limit


def _text_to(name: str, asked: Question) -> str:
    """A text as a recipient reads it, and what the approver should know of it. Both are code: a warning quotes it."""
    reader = f", customer {asked.readers[name]} for example," if name in asked.readers else ""
    return f"{name}{reader} reads:\n\n{_as_code(asked.texts[name])}{_warnings(name, asked)}"


def _warnings(name: str, asked: Question) -> str:
    warnings = "\n".join(asked.warnings.get(name, ()))
    return f"\n\nCheck this text before you answer:\n\n{_as_code(warnings)}" if warnings else ""


def _as_code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
