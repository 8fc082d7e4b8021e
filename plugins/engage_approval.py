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
from airflow.sdk.exceptions import TaskAwaitingInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from engage.steps.approve import Question

log = logging.getLogger(__name__)


class CampaignApproval(ApprovalOperator):
    """Asks the approver whether the campaign's messages may go out, and waits. It skips itself if no answer is needed.

    The tasks after it are skipped if the approver rejects the list, or does not answer in time.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            subject="May these messages go out?",
            defaults=self.REJECT,
            response_timeout=timedelta(hours=48),  # until execute takes the campaign's own
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
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            deadline = datetime.now(UTC) + self.response_timeout
            parked.kwargs = {**(parked.kwargs or {}), "deadline": deadline.isoformat()}
            raise

    def execute_complete(self, context: Context, event: dict[str, Any], deadline: str | None = None) -> Any:
        """Record the answer, then let Airflow act on it. An answer after the deadline is none."""
        if "error" not in event:
            event = self._in_time(event, deadline)
            self._record(context, event)
        return super().execute_complete(context, event)

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
        with engage_steps.errors_as_outcomes():
            run = engage_steps.current_run()
            approved = event["chosen_options"] == [self.APPROVE]
            by = str(approver["name"]) if approver else None
            given = approve.answer(run.engine, run.window, approved=approved, by=by, run_id=run.run_id, as_of=run.as_of)
        log.info("%s", given.sentence)
        engage_alerts.deliver(run.engine, context)


def body(asked: Question, report: str) -> str:
    """The question in Markdown. A message's text is set as code, so that no markup in it has an effect."""
    waiting = ", ".join(f"**{count:,}** to {name}" for name, count in asked.messages.items())
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in asked.skipped.items()) or "no customer"
    texts = (_text_to(name, asked) for name in asked.texts)
    found = [f"The guard has findings, and a run ignored them: {asked.guard}."] if asked.guard else []
    return "\n\n".join(
        (
            f"Messages: {waiting}; at most {asked.segments:,} SMS segments{_cost(asked)}. Not on the list: {skipped}.",
            *found,
            *texts,
            f"[The campaign's report]({report})",
            "*Approve* sends exactly this list, less customers who may no longer be texted by then. *Reject*, or no "
            f"answer within {asked.hours} hours, sends no message. The campaign is then open again, and the next run "
            "computes it anew.",
        )
    )


def _cost(asked: Question) -> str:
    from engage.currency import currency
    from engage.formats import money

    if asked.cost is None:
        return ""
    limit = f" of the budget of {money(asked.budget, currency())}" if asked.budget else ""
    return f", which cost at most {money(asked.cost, currency())}{limit}"


def _text_to(name: str, asked: Question) -> str:
    """A segment's text, and what the approver should know of it. Both are code, as a warning quotes the text."""
    text = f"{name} reads:\n\n{_as_code(asked.texts[name])}"
    warnings = "\n".join(asked.warnings.get(name, ()))
    return f"{text}\n\nCheck this text before you answer:\n\n{_as_code(warnings)}" if warnings else text


def _as_code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
