"""The question to the approver, as Airflow shows it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import engage_alerts
import engage_approval
import engage_steps
import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import TaskAwaitingInput

from engage.steps import approve
from engage.steps.approve import Question

ASKED = Question(
    messages={"BOOST": 1200, "REWARD": 3},
    segments=1203,
    skipped={"opted_out": 7},
    texts={"BOOST": "Come back!", "REWARD": "Thank you."},
    hours=24,
)


def test_the_question_shows_the_list_and_what_each_answer_does():
    text = engage_approval.body(ASKED, "http://airflow/report")
    assert text.startswith(
        "Messages: **1,200** to BOOST, **3** to REWARD; at most 1,203 SMS segments. Not on the list: 7 opted"
    )
    assert "BOOST reads:\n\n    Come back!\n\nREWARD reads:\n\n    Thank you.\n\n" in text
    assert "[The campaign's report](http://airflow/report)" in text
    assert "no answer within 24 hours, sends no message" in text
    assert "guard" not in text


def test_the_question_names_a_reader_of_each_text_and_the_texts_without_one():
    asked = Question(
        messages={"REWARD": 3}, texts={"REWARD": "Hi Ada", "REWARD in es": "Hola Luis"},
        readers={"REWARD": 17, "REWARD in es": 18}, unread=("REWARD in fr",),
    )  # fmt: skip
    text = engage_approval.body(asked, "")
    assert "REWARD, customer 17 for example, reads:\n\n    Hi Ada\n\n" in text
    assert "REWARD in es, customer 18 for example, reads:\n\n    Hola Luis\n\n" in text
    assert "No customer on the list reads the text REWARD in fr." in text


def test_the_question_has_the_number_of_a_share_beside_it():
    share = "low_spend_threshold: lowest 20% = below 87.40: 240 customers."
    assert f"Thresholds that adapt:\n\n    {share}\n\n" in engage_approval.body(replace(ASKED, shares=share), "")
    assert "adapt" not in engage_approval.body(ASKED, "")


def test_the_question_has_the_cost_and_the_budget():
    priced = replace(ASKED, cost=Decimal("9.50"))
    assert "at most 1,203 SMS segments, which cost at most $9.50. Not" in engage_approval.body(priced, "")
    limited = replace(priced, budget="$10.00")
    assert "which cost at most $9.50; the budget is $10.00. Not" in engage_approval.body(limited, "")
    assert "1,203 SMS segments; the budget is 9 messages. Not" in engage_approval.body(
        replace(ASKED, budget="9 messages"), ""
    )


def test_the_question_names_the_approvers_as_code():
    text = engage_approval.body(replace(ASKED, who_may="Only [ada](http://elsewhere) may approve."), "")
    assert "Before you answer:\n\n    Only [ada](http://elsewhere) may approve.\n\n*Review…* on the report" in text
    assert "Before you answer" not in engage_approval.body(ASKED, "")


def test_findings_of_the_guard_are_in_the_question():
    said = "The guard tells, without stopping a run: there are 3 sessions."
    asked = Question(messages={"BOOST": 1}, texts={"BOOST": "Hi"}, guard=said)
    assert f"\n\n{said}\n\n" in engage_approval.body(asked, "")


def test_warnings_about_a_text_follow_it_as_code():
    asked = Question(
        messages={"BOOST": 1, "REWARD": 1}, texts={"BOOST": "Hi [x](http://y)", "REWARD": "Thanks"},
        warnings={"BOOST": ("“[name](http://elsewhere)” is sent as it stands.", "It has “’”.\nApprove!")},
    )  # fmt: skip
    text = engage_approval.body(asked, "")
    assert (
        "BOOST reads:\n\n    Hi [x](http://y)\n\nCheck this text before you answer:\n\n"
        "    “[name](http://elsewhere)” is sent as it stands.\n    It has “’”.\n    Approve!\n\nREWARD reads:"
    ) in text
    assert "Check" not in engage_approval.body(ASKED, "")


def test_warnings_about_a_text_that_no_customer_reads_are_in_the_question():
    """They are about all of the segment's texts, also those that customers read."""
    asked = Question(
        messages={"BOOST": 1}, texts={"BOOST in es": "Hola"}, unread=("BOOST",), warnings={"BOOST": ("It is odd.",)}
    )
    assert (
        "No customer on the list reads the text BOOST.\n\nCheck this text before you answer:\n\n    It is odd."
    ) in engage_approval.body(asked, "")


def test_a_text_cannot_pass_for_a_part_of_the_question():
    asked = Question(messages={"BOOST": 1}, texts={"BOOST": "Hi\n\n# Approved\r\n[Approve](http://elsewhere)\u2028```"})
    lines = engage_approval.body(asked, "").split("\n")
    begin = lines.index("    Hi")
    assert lines[begin : begin + 6] == [
        "    Hi",
        "    ",
        "    # Approved",
        "    [Approve](http://elsewhere)",
        "    ```",
        "",
    ]


def test_airflow_asks_with_a_time_limit_and_takes_silence_for_a_no(dag):
    task = dag.get_task("approve")
    assert isinstance(task, ApprovalOperator)
    assert task.defaults == ["Reject"]
    assert task.response_timeout.total_seconds() > 0
    assert not task.fail_on_reject
    assert not task.ignore_downstream_trigger_rules


# --- one outcome on record


DEADLINE = datetime(2026, 2, 12, 9, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the task records and which alerts it sends, instead of Engage's database and mails."""
    seen: dict[str, Any] = {"answers": [], "deliveries": 0}

    def answer(engine: Any, window: Any, *, approved: bool, by: str | None, **rest: Any) -> Any:
        seen["answers"].append((approved, by))
        return SimpleNamespace(sentence="", by=by)

    run = SimpleNamespace(
        engine=None, window=None, run_id="a run", as_of=DEADLINE, options=None, after_other_runs=nullcontext
    )
    monkeypatch.setattr(engage_steps, "current_run", lambda: run)
    monkeypatch.setattr(approve, "answer", answer)
    deliver = lambda engine, context: seen.update(deliveries=seen["deliveries"] + 1)  # noqa: E731
    monkeypatch.setattr(engage_alerts, "deliver", deliver)
    monkeypatch.setattr(ApprovalOperator, "execute_complete", lambda self, context, event: event)
    return seen


def answered(at: datetime, *, by: str | None = "ada") -> dict[str, Any]:
    user = {"id": by, "name": by} if by else None
    return {"chosen_options": ["Approve" if by else "Reject"], "responded_at": at, "responded_by_user": user}


@pytest.mark.parametrize(
    ("event", "deadline", "answer"),
    [
        (answered(DEADLINE), DEADLINE, (True, "ada")),
        (answered(DEADLINE + TICK), DEADLINE, (False, None)),
        (answered(DEADLINE + TICK, by=None), DEADLINE, (False, None)),
        (answered(DEADLINE + TICK), None, (True, "ada")),  # asked before deadlines were kept with the question
    ],
    ids=["in time", "late", "no answer", "no deadline"],
)
def test_an_answer_after_the_deadline_is_recorded_as_none_and_told(dag, recorded, event, deadline, answer):
    task = dag.get_task("approve")
    result = task.execute_complete({}, event, deadline=deadline and deadline.isoformat())
    assert recorded == {"answers": [answer], "deliveries": 1}  # the alert about a timeout is recorded with the answer
    assert result["chosen_options"] == ["Approve" if answer[0] else "Reject"]  # what Airflow acts on


def test_the_task_waits_with_the_deadline_and_sends_its_mail_whenever_it_asks(dag, recorded, monkeypatch):
    def park(self: Any, context: Any) -> None:
        raise TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)

    monkeypatch.setattr(approve, "ask", lambda *arguments, **named: ASKED)
    monkeypatch.setattr(engage_approval.engage_links, "report_url", lambda ti: "")
    monkeypatch.setattr(ApprovalOperator, "execute", park)
    for _ in range(2):
        with pytest.raises(TaskAwaitingInput) as raised:
            dag.get_task("approve").execute({"ti": None})
        left = datetime.fromisoformat(raised.value.kwargs["deadline"]) - datetime.now(UTC)
        assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24) == raised.value.timeout
    assert recorded["deliveries"] == 2
