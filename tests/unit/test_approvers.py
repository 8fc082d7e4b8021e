"""Who may approve a list, and who was the last to change a setting."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from engage.campaigns.approvers import Approvers, Edit
from engage.pages.audit_log import AuditEntry
from engage.pages.setting_editors import last_edits

AT = datetime(2026, 11, 26, 14, 5, tzinfo=UTC)
NAMED = ("ada", "ben", "cleo")


def test_without_names_each_user_may_also_the_one_who_triggered_the_run():
    users = Approvers(triggered_by=("ada",), edits=(Edit("max_segments", "ada", AT),))
    assert users.refusal("ada") is None
    assert users.who_may == "Each user whom Airflow lets answer may approve."


def test_only_a_named_user_may():
    users = Approvers(NAMED)
    assert [users.refusal(name) for name in NAMED] == [None, None, None]
    assert users.refusal("dan") == (
        "dan may not approve this list: engage_approvers does not name dan. ada, ben and cleo may approve. "
        "dan may reject it."
    )
    assert "does not name Ada" in (users.refusal("Ada") or "")


def test_with_four_eyes_neither_who_triggered_the_run_nor_who_changed_a_setting_last_may():
    users = Approvers(NAMED, triggered_by=("ada",), edits=(Edit("message_boost", "ben", AT),))
    assert users.refusal("ada") == (
        "ada may not approve this list: ada triggered its run, and the approver must be another user. "
        "cleo may approve. ada may reject it."
    )
    assert users.refusal("ben") == (
        "ben may not approve this list: ben was the last to change engage_message_boost on 2026-11-26 14:05 UTC, and "
        "the approver must be another user. cleo may approve. ben may reject it."
    )
    assert users.refusal("cleo") is None


def test_all_reasons_are_given_at_once():
    edits = (Edit("message_boost", "dan", AT), Edit("max_segments", "dan", AT))
    why = Approvers(NAMED, triggered_by=("dan",), edits=edits).refusal("dan")
    assert why is not None
    assert "does not name dan; dan triggered its run, and the approver must be another user; dan was the last" in why
    assert "engage_message_boost on 2026-11-26 14:05 UTC and engage_max_segments on" in why


def test_four_eyes_can_be_switched_off():
    users = Approvers(("ada",), four_eyes=False, triggered_by=("ada",), edits=(Edit("message_boost", "ada", AT),))
    assert users.refusal("ada") is None


def test_if_no_user_is_left_it_says_what_to_do():
    why = Approvers(("ada",), triggered_by=("ada",)).refusal("ada")
    assert why is not None
    assert "No user is left who may approve: reject the list, name another user in engage_approvers, and" in why


# --- the audit log


def entry(event, user="ada", minutes=0, **details):
    return AuditEntry(1, AT + timedelta(minutes=minutes), user, event, None, details)


def editors(entries, *settings, until=AT + timedelta(hours=1)):
    """The editors of each setting; a setting without one is left out."""
    edits, unknown = last_edits(sorted(entries, key=lambda one: one.at, reverse=True), settings, until=until)
    found = {name: [one.by for one in edits if one.setting == name] for name in settings}
    assert set(unknown) == {name for name, users in found.items() if not users}
    return {name: users for name, users in found.items() if users}


def command(text):
    return {"full_command": str(text.split())}


@pytest.mark.parametrize(
    "edit",
    [
        entry("patch_variable", key="engage_max_segments", value="***"),
        entry("patch_variable", variable_key="engage_max_segments"),
        entry("post_variable", key="engage_max_segments"),
        entry("delete_variable", variable_key="engage_max_segments"),
        entry("bulk_variables", actions=[{"action": "update", "entities": [{"key": "engage_max_segments"}]}]),
        entry("bulk_variables", actions=[{"action": "delete", "entities": ["engage_max_segments"]}]),
        entry("engage.settings", set=["max_segments"], reset=[]),
        entry("engage.settings", set=[], reset=["max_segments"]),
        entry("cli_variables_set", **command("airflow variables set engage_max_segments 5")),
    ],
    ids=lambda one: f"{one.event} {json.dumps(one.details)[:40]}",
)
def test_each_way_to_edit_a_setting_names_its_editor(edit):
    assert editors([edit], "max_segments", "message_boost") == {"max_segments": ["ada"]}


def test_only_the_last_editor_of_each_setting_counts():
    entries = [
        entry("engage.settings", "ada", 1, set=["max_segments", "message_boost"]),
        entry("patch_variable", "ben", 2, key="engage_max_segments"),
        entry("patch_variable", "cleo", 3, key="another_max_segments"),
    ]
    assert editors(entries, "max_segments", "message_boost") == {"max_segments": ["ben"], "message_boost": ["ada"]}


def test_a_start_that_adds_the_missing_variables_hides_no_editor():
    add = {"action": "create", "action_on_existence": "skip", "entities": [{"key": "engage_max_segments"}]}
    started = entry("bulk_variables", "admin", 9, actions=[add])
    edited = entry("patch_variable", "ada", 1, key="engage_max_segments")
    assert editors([edited, started], "max_segments") == {"max_segments": ["ada"]}
    assert editors([started], "max_segments") == {"max_segments": ["admin"]}
    overwritten = entry("bulk_variables", "admin", 9, actions=[add, add | {"action_on_existence": "overwrite"}])
    assert editors([edited, overwritten], "max_segments") == {"max_segments": ["admin"]}


def test_a_user_who_adds_a_variable_that_was_deleted_before_is_an_editor():
    """Only a Variable that there is stays as it is."""
    add = {"action": "create", "action_on_existence": "skip", "entities": [{"key": "engage_max_segments"}]}
    deleted = entry("delete_variable", "ada", 1, variable_key="engage_max_segments", method="DELETE")
    added = entry("bulk_variables", "ben", 5, actions=[add])
    started = entry("bulk_variables", "admin", 9, actions=[add])
    assert editors([deleted, added, started], "max_segments") == {"max_segments": ["ada", "ben"]}
    edited = entry("patch_variable", "cleo", 12, key="engage_max_segments")
    assert editors([deleted, added, edited], "max_segments") == {"max_segments": ["cleo"]}


def test_an_edit_just_as_the_settings_were_read_hides_no_earlier_editor():
    """Whether it came before the settings were read or after is not known."""
    before = entry("patch_variable", "ada", -5, key="engage_max_segments")
    meanwhile = [
        entry("patch_variable", name, at, key="engage_max_segments") for name, at in (("ben", -0.5), ("cleo", 0.5))
    ]
    assert editors([before, *meanwhile], "max_segments", until=AT) == {"max_segments": ["cleo", "ben", "ada"]}


@pytest.mark.parametrize(
    "nameless",
    [
        entry("delete_variable", "ben", 5, method="DELETE"),
        entry("delete_variable", "ben", 5, method="DELETE", key="engage_offer"),
        entry("delete_variable", "ben", 5, method="DELETE", variable_key="engage_offer", more=1),
        entry("bulk_variables", "ben", 5, method="PATCH"),
        entry("post_variable", "ben", 5, method="POST"),
        entry("cli_variables_import", "ben", 5, **command("airflow variables import a.json")),
    ],
    ids=lambda one: one.event,
)
def test_an_entry_that_names_no_variable_may_be_about_any(nameless):
    """Airflow keeps no body of a request whose content type is unusual, and no names of an imported file."""
    before = entry("patch_variable", "ada", 1, key="engage_max_segments")
    after = entry("patch_variable", "cleo", 9, key="engage_max_segments")
    assert editors([before, nameless], "max_segments", "message_boost") == {
        "max_segments": ["ben", "ada"],
        "message_boost": ["ben"],
    }
    assert editors([nameless, after], "max_segments") == {"max_segments": ["cleo"]}


def test_an_edit_on_the_command_line_is_marked():
    [one], _ = last_edits(
        [entry("cli_variables_set", "root", **command("airflow variables set engage_offer a"))],
        ["offer"],
        until=AT + timedelta(hours=1),
    )
    assert (one.by, one.command_line) == ("root", True)
