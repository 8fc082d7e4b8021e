"""The entries of Airflow's audit log in words. Their shapes are those that Airflow 3.3 leaves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engage.pages.audit_log import RUN_EVENTS, VARIABLE_EVENTS, AuditEntry, changed_settings
from engage.pages.audit_words import WORDS, events_of, of_entry
from engage.pages.happenings import Kind
from engage.window import ANCHOR, Window

AT = datetime(2026, 11, 26, 14, tzinfo=UTC)


def entry(event, run_id=None, user="ada", **details):
    return AuditEntry(1, AT, user, event, run_id, details)


@pytest.mark.parametrize(
    ("event", "details", "changed"),
    [
        ("post_variable", {"key": "engage_holdout_percent", "value": "***"}, {"holdout_percent": "set"}),
        ("patch_variable", {"key": "engage_max_segments", "value": "***"}, {"max_segments": "set"}),
        ("delete_variable", {"variable_key": "engage_max_segments", "method": "DELETE"}, {"max_segments": "reset"}),
        (
            "bulk_variables",
            {
                "actions": [
                    {"action": "create", "entities": [{"key": "engage_sms_provider"}, {"key": "other"}]},
                    {"action": "delete", "entities": ["engage_alert_emails"]},
                    "garbage",
                ]
            },
            {"sms_provider": "set", "alert_emails": "reset"},
        ),
        (
            "cli_variables_set",
            {"full_command": "['airflow', 'variables', 'set', 'engage_alert_emails', 'engage_max_segments']"},
            {"alert_emails": "set"},
        ),
        ("cli_variables_delete", {"full_command": "['airflow', 'variables', 'delete', 'engage_alert_emails']"},
         {"alert_emails": "reset"}),
        ("cli_variables_set", {"full_command": "['airflow', 'variables'"}, {}),
        ("cli_variables_set", {}, {}),
        ("engage.settings", {"set": ["max_segments"], "reset": ["alert_emails"]},
         {"max_segments": "set", "alert_emails": "reset"}),
        ("engage.thresholds", {"low_spend_threshold": "1", "high_activity_threshold": "2", "method": "POST"},
         {"low_spend_threshold": "set", "high_activity_threshold": "set"}),
        ("patch_variable", {"key": "engage_no_such_setting"}, {}),
        ("patch_variable", {"key": ["engage_max_segments"]}, {}),
        ("bulk_variables", {"actions": "engage_"}, {}),
        ("bulk_variables", {"actions": [{"entities": [{"key": {"engage_": 1}}, 7]}]}, {}),
    ],
)  # fmt: skip
def test_an_entry_names_the_settings_that_it_changes(event, details, changed):
    assert changed_settings(entry(event, **details)) == changed
    happening = of_entry(entry(event, **details))
    assert (happening is not None) == bool(changed)


def test_no_value_of_a_variable_is_told():
    said = of_entry(entry("cli_variables_set", full_command="['x', 'set', 'engage_alert_emails', 'ada@example.com']"))
    assert "ada@example.com" not in repr(said)


@pytest.mark.parametrize(
    ("event", "details", "did"),
    [
        ("trigger_dag_run", {"conf": {"seed": True, "send_late": True, "customers": 5}},
         "triggered a run (seed, send late)"),
        ("trigger_dag_run", {"conf": None}, "triggered a run"),
        ("trigger_dag_run", {"conf": "x"}, "triggered a run"),
        ("patch_dag_run", {"state": "failed"}, "marked a run as failed"),
        ("patch_dag_run", {"note": "x"}, "changed a run"),
        ("patch_task_instance", {"new_state": "success"}, "marked a task as success"),
        ("update_hitl_detail", {"chosen_options": ["Approve"]}, "answered the question of a run: Approve"),
        ("engage.answer", {"answer": "reject"}, "answered the question of a run: Reject"),
        ("engage.start_run", {"dry_run": "on", "customers": ""}, "started a run (dry run)"),
        ("engage.settle_message", {"status": "delivered", "customer_id": "5"},
         "settled a message of unknown outcome as delivered"),
        ("engage.settle_message", {"status": ["<b>"]}, "settled a message of unknown outcome"),
        ("engage.exported_messages", {"rows": 1234}, "exported 1,234 messages with phone numbers"),
        ("engage.exported_messages", {}, "exported messages with phone numbers"),
        ("engage.forget_customer", {"customer_id": "5"}, "had a customer forgotten"),
        ("engage.import_file", {"kind": "customers", "file": "a.csv", "added": 1000, "changed": 2, "rejected": 3},
         "imported 1,002 customers from a.csv; 3 rows rejected"),
        ("engage.import_file", {"kind": "events", "file": "", "added": 1, "changed": 0, "rejected": 0},
         "imported 1 event from a file"),
        ("engage.import_file", {"kind": ["x"], "added": "2"}, "imported customers from a file"),
        ("engage.explain_days", {"first": "2026-12-25", "last": "2026-12-26"}, "explained 2026-12-25 to 2026-12-26"),
        ("engage.explain_days", {"first": "2026-12-25", "last": "2026-12-25"}, "explained 2026-12-25"),
        ("engage.unexplain_days", {"first": None}, "took back the reason for days"),
        ("patch_dag", {"is_paused": True}, "paused the DAG"),
        ("patch_dag", {"is_paused": False}, "switched the DAG on"),
        ("engage.thresholds", {"low_spend_threshold": "180.5", "high_activity_threshold": "4.50"},
         "set BOOST below $180.50 and REWARD above 4.5 sessions a week"),
        ("engage.thresholds", {"low_spend_threshold": "abc"}, "set the thresholds"),
    ],
)  # fmt: skip
def test_what_a_user_did(event, details, did):
    assert of_entry(entry(event, **details)).did == did


def test_the_campaign_is_found_by_its_window():
    start = f"{ANCHOR:%Y-%m-%d}"
    assert of_entry(entry("engage.halt", window_start=start)).window == Window(ANCHOR)
    assert of_entry(entry("trigger_dag_run", conf={"window_start": start})).window == Window(ANCHOR)
    for wrong in ("2025-01-07", "x", 7, None, ["2025-01-06"]):
        assert of_entry(entry("engage.halt", window_start=wrong)).window is None


def test_each_event_has_words_and_a_kind():
    assert set(VARIABLE_EVENTS) | set(RUN_EVENTS) <= WORDS.keys()
    assert sorted(event for kind in Kind for event in events_of(kind)) == sorted(events_of(None))
    assert of_entry(entry("success")) is None
