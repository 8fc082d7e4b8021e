"""The question to the approver, as Airflow shows it."""

from __future__ import annotations

import engage_approval
from airflow.providers.standard.operators.hitl import ApprovalOperator

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
        "Messages: **1,200** to BOOST, **3** to REWARD; about 1,203 segments. Not on the list: 7 opted"
    )
    assert "BOOST reads:\n\n    Come back!\n\nREWARD reads:\n\n    Thank you.\n\n" in text
    assert "[The campaign's report](http://airflow/report)" in text
    assert "no answer within 24 hours, sends no message" in text
    assert "guard" not in text


def test_findings_of_the_guard_are_in_the_question():
    asked = Question(messages={"BOOST": 1}, texts={"BOOST": "Hi"}, guard="there are 3 sessions")
    assert "The guard has findings, and a run ignored them: there are 3 sessions." in engage_approval.body(asked, "")


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
