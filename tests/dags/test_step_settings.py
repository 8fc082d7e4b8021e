"""What a step reads from Airflow and the environment: the settings, the hash key and the account for texts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowFailException

from engage.errors import InputError
from engage.settings import Settings
from tests.dags.tasks import body, run_seen_by_a_task, variables


def test_a_variable_that_airflow_lists_and_does_not_give_is_never_taken_for_its_default(task_context, monkeypatch):
    variables(monkeypatch, {"engage_low_spend_threshold": None})
    with task_context(), pytest.raises(RuntimeError, match="engage_low_spend_threshold"):
        body(lambda run: run.settings())()


def test_settings_come_from_the_variables_of_the_moment(task_context, monkeypatch):
    stored = {"engage_low_spend_threshold": "120"}
    variables(monkeypatch, stored)
    with task_context():
        run = run_seen_by_a_task()
    assert run.settings() == Settings(low_spend_threshold=120)
    stored["engage_high_activity_threshold"] = "0"
    assert run.settings() == Settings(low_spend_threshold=120, high_activity_threshold=0)


RULES = '{"segments": [{"name": "LAPSING", "when": ["days_since_last_purchase > lapsing_days_threshold"]}]}'


def test_the_thresholds_and_texts_that_the_rules_name_come_from_variables(task_context, monkeypatch):
    stored = {"engage_segments": RULES, "engage_lapsing_days_threshold": "28", "engage_message_lapsing": "Reply STOP."}
    asked = []
    variables(monkeypatch, stored)
    get = Variable.get
    monkeypatch.setattr(Variable, "get", lambda key, default=...: asked.append(key) or get(key, default))
    with task_context():
        found = run_seen_by_a_task().settings()
    assert found.thresholds == {"lapsing_days_threshold": 28}
    assert found.message("LAPSING") == "Reply STOP."
    assert len(asked) == len(set(asked)) == len(Settings.model_fields) + 2
    del stored["engage_message_lapsing"]
    with task_context():
        assert run_seen_by_a_task().settings().texted == ()


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        ({}, "needs the setting lapsing_days_threshold, and there is none"),
        ({"engage_lapsing_days_threshold": "NaN"}, "The Airflow Variable engage_lapsing_days_threshold is 'NaN'"),
        ({"engage_lapsing_days_threshold": None}, "Airflow lists the Variable engage_lapsing_days_threshold but"),
    ],
)
def test_a_threshold_that_the_rules_name_must_be_a_number(task_context, monkeypatch, stored, sentence):
    variables(monkeypatch, {"engage_segments": RULES} | stored)
    with task_context(), pytest.raises((AirflowFailException, RuntimeError), match=sentence):
        body(lambda run: run.settings())()


@pytest.mark.parametrize("value", ["abc", "-1", "NaN", ""])
def test_a_bad_variable_fails_the_task_at_once_naming_it(task_context, monkeypatch, value):
    variables(monkeypatch, {"engage_low_spend_threshold": value})
    with task_context(), pytest.raises(AirflowFailException) as raised:
        body(lambda run: run.settings())()
    assert str(raised.value) == (
        f"The Airflow Variable engage_low_spend_threshold is {value!r}, which is not allowed: it takes a number from "
        "0 to 1000000000 with at most 2 decimals, or a share of the customers such as lowest 20%, highest 10% or "
        "lowest 5000."
    )


def test_the_hash_key_comes_from_the_environment(task_context, monkeypatch):
    monkeypatch.setenv("ENGAGE_HASH_KEY", "x" * 32)
    with task_context():
        assert run_seen_by_a_task().hash_key == b"x" * 32


def test_without_a_hash_key_there_is_a_sentence(task_context, monkeypatch):
    monkeypatch.delenv("ENGAGE_HASH_KEY", raising=False)
    with task_context():
        run = run_seen_by_a_task()
    with pytest.raises(InputError, match="ENGAGE_HASH_KEY is not set"):
        _ = run.hash_key


def test_the_sms_account_comes_from_the_connection(task_context, monkeypatch):
    asked = []
    connection = SimpleNamespace(login="AC1", password="hush", extra_dejson={"from": "+12025550100"})
    monkeypatch.setattr(BaseHook, "get_connection", lambda name: asked.append(name) or connection)
    with task_context():
        context = run_seen_by_a_task().sending_context
    assert context.provider_named("sandbox").name == "sandbox"
    assert asked == []
    assert context.provider_named("twilio").name == "twilio"
    assert asked == ["engage_sms"]


def test_an_account_that_is_not_complete_fails_the_task_at_once_without_its_secret(task_context, monkeypatch):
    connection = SimpleNamespace(login="AC1", password="hush", extra_dejson={})
    monkeypatch.setattr(BaseHook, "get_connection", lambda name: connection)
    with task_context(), pytest.raises(AirflowFailException, match="takes one of the options 'from'") as raised:
        body(lambda run: run.sending_context.provider_named("twilio"))()
    assert "hush" not in str(raised.value)
