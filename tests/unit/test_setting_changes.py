"""The settings in groups, and what is wrong with a change before it is saved."""

from __future__ import annotations

from collections import Counter

import pytest

from engage import settings
from engage.errors import SettingsError
from engage.settings import GROUPS, LABELS, Change, Settings, applied, in_words, refusals

LONG = "x" * 200 + " Reply STOP to opt out."


def test_each_setting_is_in_exactly_one_group():
    counted = Counter(name for group in GROUPS for name in group.labels)
    assert set(counted) == set(Settings.model_fields)
    assert set(counted.values()) == {1}
    assert LABELS.keys() == counted.keys()


def test_groups_and_labels_are_told_apart():
    assert len({group.key for group in GROUPS}) == len(GROUPS)
    assert len(set(LABELS.values())) == len(LABELS)
    assert not {group.key for group in GROUPS} & LABELS.keys()  # both are anchors of one page


@pytest.mark.parametrize(
    "values",
    [
        {"low_spend_threshold": "abc"},
        {"low_spend_threshold": "-1", "approval_hours": "0"},
        {"message_boost": "Hi {{ nobody }}"},
        {"message_boost": LONG, "max_segments": "1"},
        {"message_boost": LONG, "max_segments": "1", "sms_provider": "pigeon"},
        {"message_boost": "", "max_segments": "none"},
        {"no_such_setting": "1"},
    ],
    ids=str,
)
def test_problems_are_those_that_a_run_would_stop_at(values):
    found = settings.problems(values)
    with pytest.raises(SettingsError) as refused:
        settings.validate(values)
    assert str(refused.value) == "; ".join(found.values()) + "."
    settings.validate({name: value for name, value in values.items() if name not in found})


def test_a_text_that_is_too_long_is_named_beside_another_wrong_setting():
    found = in_words({"message_boost": LONG, "max_segments": "1", "approval_hours": "x"})
    assert set(found) == {"message_boost", "approval_hours"}
    assert found["message_boost"].startswith("“Text for BOOST” takes 2 segments")
    assert "“Longest text” allows 1" in found["message_boost"]
    assert found["approval_hours"] == (
        "“Hours to wait for the approver” is 'x', which is not allowed: it takes a whole number of hours from 1 to 720."
    )


def test_what_a_run_would_take_has_defaults_in_place_of_wrong_values():
    found = settings.usable({"low_spend_threshold": "abc", "approval_hours": "3", "unknown": "x"})
    assert found.low_spend_threshold == Settings().low_spend_threshold
    assert found.approval_hours == 3


def test_changes_set_and_delete_variables():
    stored = {"approval_hours": "3", "max_segments": "2"}
    changes = [Change("approval_hours", None, "3"), Change("holdout_percent", "5", None)]
    assert applied(stored, changes) == {"max_segments": "2", "holdout_percent": "5"}
    assert stored == {"approval_hours": "3", "max_segments": "2"}


def test_a_wrong_value_is_refused():
    assert set(refusals({}, [Change("approval_hours", "0", None)])) == {"approval_hours"}


def test_a_limit_that_makes_a_text_too_long_is_refused():
    assert set(refusals({"message_boost": LONG}, [Change("max_segments", "1", None)])) == {"message_boost"}


def test_a_variable_that_was_wrong_before_refuses_no_other_change():
    stored = {"approval_hours": "soon"}
    assert refusals(stored, [Change("holdout_percent", "5", None)]) == {}
    assert refusals(stored, [Change("approval_hours", None, "soon")]) == {}
