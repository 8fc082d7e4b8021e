"""The task that asks somebody to approve of a campaign's messages, in Airflow under Required Actions.

What may be sent is kept with the campaign; this asks, and writes the answer down.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import engage_alerts
import engage_links
import engage_steps
from airflow.providers.standard.operators.hitl import ApprovalOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from engage.steps.approve import Question

log = logging.getLogger(__name__)


class CampaignApproval(ApprovalOperator):
    """Asks whether the campaign's messages may go out, and waits; it skips itself where nobody has to be asked.

    What follows is skipped if the answer is no, or there is none in time.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            subject="May these messages go out?",
            defaults=self.REJECT,
            response_timeout=timedelta(hours=48),  # the campaign's own, once there is one to ask about
            doc_md="Ask somebody whether the campaign's messages may go out, if that is wanted.",
            on_failure_callback=engage_alerts.task_failed,
            **options,
        )

    def execute(self, context: Context) -> None:
        """Freeze the list and put the question.

        Raises:
            AirflowSkipException: nobody has to be asked.
            TaskAwaitingInput: as any such task, to wait without a process.
        """
        from engage.steps import approve

        with engage_steps.errors_as_outcomes():
            run = engage_steps.current_run()
            asked = approve.ask(run.engine, run.window, options=run.options, run_id=run.run_id, as_of=run.as_of)
        if not asked.messages:
            engage_steps.skip(asked.note)
        total = sum(asked.messages.values())
        self.subject = f"May {total:,} messages about {run.window} go out?"
        self.body = body(asked, engage_links.report_url(context["ti"]))
        self.response_timeout = timedelta(hours=asked.hours)
        if not asked.again:  # before it is put, as Airflow loses an answer that comes before this process has ended
            engage_alerts.approval_requested(context, total, asked.hours)
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the answer down, then do as Airflow does with it."""
        if "error" not in event:
            self._write_down(context, event)
        return super().execute_complete(context, event)

    def _write_down(self, context: Context, event: dict[str, Any]) -> None:
        from engage.steps import approve

        who = event.get("responded_by_user")
        with engage_steps.errors_as_outcomes():
            run = engage_steps.current_run()
            approved = event["chosen_options"] == [self.APPROVE]
            by = str(who["name"]) if who else None
            said = approve.answer(run.engine, run.window, approved=approved, by=by, run_id=run.run_id, as_of=run.as_of)
        log.info("%s", said)
        if who is None:
            engage_alerts.approval_timed_out(context)


def body(asked: Question, report: str) -> str:
    """The question in Markdown. What people may have written into a text is set as code, which says nothing else."""
    waiting = ", ".join(f"**{count:,}** to {bucket}" for bucket, count in asked.messages.items())
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in asked.skipped.items()) or "nobody"
    texts = (f"{bucket} reads:\n\n{_as_code(text)}" for bucket, text in asked.texts.items())
    found = [f"The guard has found, and a run ignored: {asked.guard}."] if asked.guard else []
    return "\n\n".join(
        (
            f"Messages: {waiting}; about {asked.segments:,} segments. Not on the list: {skipped}.",
            *found,
            *texts,
            f"[The campaign's report]({report})",
            "*Approve* sends exactly this list, less whoever may not be texted any more by then. *Reject*, or no "
            f"answer within {asked.hours} hours, texts nobody and opens the campaign again, to be computed anew.",
        )
    )


def _as_code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
