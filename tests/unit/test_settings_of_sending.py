"""Settings of how messages are sent, and to which addresses and phones of the staff."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from engage import alert, settings
from engage.campaigns.approval import Approval
from engage.errors import SettingsError
from engage.settings import Settings
from engage.statuses import Metric
from engage.texts import phone
from engage.window import ANCHOR, Window
from tests.unit.test_settings import from_variables

NEW_NUMBERS = {
    "max_segments": ("1", "10", "0"),
    "min_days_between_messages": ("0", "3650", "3651"),
    "price_per_segment": ("0", "1000", "0.0000001"),
    "holdout_percent": ("0", "100", "100.01"),
    "max_messages_per_run": ("0", "1000000000", "1000000001"),
    "messages_per_second": ("0", "10000", "10000.1"),
    "send_concurrency": ("1", "100", "101"),
    "max_filtered_percent": ("0", "100", "-0.01"),
    "max_undelivered_percent": ("0", "100", "-0.01"),
    "guard_min_volume_percent": ("0", "100", "100.01"),
    "guard_max_quiet_days": ("0", "56", "57"),
    "guard_max_shift_points": ("0", "100", "-1"),
    "odd_sessions_per_day": ("0", "100000", "1.5"),
    "odd_amount": ("0", "1000000000", "0.001"),
    "odd_customers_per_phone": ("0", "1000000", "-1"),
    "keep_windows": ("1", "1000", "0"),
    "approval_above": ("0", "1000000000", "1000000001"),
}


@pytest.mark.parametrize("name", NEW_NUMBERS)
def test_the_other_numbers_have_ranges_that_their_errors_name(name):
    least, most, outside = NEW_NUMBERS[name]
    for value in (least, most):
        assert getattr(from_variables(**{name: value}), name) == Decimal(value)
    for value in (outside, "abc", "", "NaN", "1_0", True, "-1"):
        with pytest.raises(SettingsError, match=f"^The Airflow Variable engage_{name} is .*: it takes a .*number"):
            from_variables(**{name: value})


def test_a_cost_is_exact_and_without_a_price_there_is_none():
    assert from_variables(price_per_segment="0.0079").cost(4933) == Decimal("38.9707")
    assert from_variables(price_per_segment="0.0079").cost(0) == 0
    assert from_variables().cost(4933) is None


def test_a_budget_takes_money_and_needs_a_price():
    found = from_variables(price_per_segment="0.0079", message_budget="38.97")
    assert found.exceeds_budget(4933, found.cost(4933))
    assert not found.exceeds_budget(4933, Decimal("38.97"))
    assert not from_variables(price_per_segment="0.0079").exceeds_budget(10**9, Decimal(10**9))
    with pytest.raises(SettingsError) as raised:
        from_variables(message_budget="500")
    assert str(raised.value) == (
        "The Airflow Variable engage_message_budget is 500, and The Airflow Variable engage_price_per_segment is 0, so "
        "no message has a cost. Set the price to what the provider charges for one SMS segment, or the budget to a "
        "number of messages, such as 5000 messages, or to 0."
    )
    for value in ("-1", "1000000001", "0.001", "much", "1.5 messages", "messages", "1000000001 messages", "5 texts"):
        with pytest.raises(SettingsError, match=r"engage_message_budget is .* such as 5000 messages\.$"):
            from_variables(price_per_segment="1", message_budget=value)


@pytest.mark.parametrize("text", ["5000 messages", " 5000 Messages", "5000messages", "5000 message"])
def test_a_budget_may_be_a_number_of_messages(text):
    found = from_variables(message_budget=text)
    assert found.message_budget.text == "5000 messages"
    assert found.exceeds_budget(5001, None)
    assert not found.exceeds_budget(5000, Decimal(10**9))
    assert Settings.from_snapshot(found.snapshot()) == found
    assert settings.texts(found)["message_budget"] == "5000 messages"


def test_a_campaign_of_an_earlier_version_kept_its_budget_as_a_number():
    assert Settings.from_snapshot({"message_budget": 0.25}).message_budget.text == "0.25"
    assert Settings.from_snapshot({"message_budget": 1000000.0}).message_budget.text == "1000000"


def test_the_budget_is_no_text_of_a_segment():
    assert settings.segment_of_text("message_budget") is None
    with pytest.raises(SettingsError, match="BUDGET is not allowed as a name: engage_message_budget is what "):
        from_variables(segments='{"segments": [{"name": "BUDGET", "when": ["liked > 0"]}], "otherwise": "NONE"}')


@pytest.mark.parametrize(
    ("required", "above", "needed"),
    [(True, 0, [1, 8, 9]), (True, 8, [1, 8, 9]), (False, 8, [9]), (False, 0, [])],
)
def test_a_long_list_needs_an_approval_also_if_not_every_one_does(required, above, needed):
    found = from_variables(require_approval=str(required), approval_above=str(above))
    approval = Approval(Window(ANCHOR), required=found.require_approval, above=found.approval_above)
    assert [count for count in (1, 8, 9) if approval.requires(count)] == needed
    assert found.may_need_approval == bool(needed)


@pytest.mark.parametrize(
    ("text", "names"),
    [("", ()), (" ", ()), ("ada", ("ada",)), (" ada ,Bob Ray, ada", ("ada", "Bob Ray")), ("ada@x.org", ("ada@x.org",))],
)
def test_approvers_are_user_names_with_commas_between_them(text, names):
    assert from_variables(approvers=text).approver_names == names


def test_approvers_of_no_list_are_warned_of():
    assert any("no list needs an approval" in one for one in from_variables(approvers="ada").warnings())
    assert from_variables(approvers="ada", approval_above="9").warnings() == []


@pytest.mark.parametrize("text", [",", "ada,", "ada,,bob", "ada\nbob", "a" * 257])
def test_what_is_no_user_name_is_refused(text):
    with pytest.raises(SettingsError, match=r"engage_approvers is .* is not a user name; it takes Airflow user names"):
        from_variables(approvers=text)


@pytest.mark.parametrize(("text", "strict"), [("true", True), ("False", False), ("1", True), ("off", False)])
def test_the_sandbox_may_be_strict(text, strict):
    found = from_variables(sandbox_strict=text)
    assert (found.real, found.strict) == (False, strict)


@pytest.mark.parametrize("text", ["", "perhaps", "2", "None"])
def test_strict_is_yes_or_no(text):
    with pytest.raises(SettingsError, match=r"engage_sandbox_strict is .*: it takes true or false\.$"):
        from_variables(sandbox_strict=text)


def test_a_real_provider_is_always_strict():
    found = from_variables(sms_provider="twilio", sandbox_strict="false")
    assert (found.real, found.strict) == (True, True)


@pytest.mark.parametrize("metric", Metric)
def test_the_holdout_is_compared_by_a_known_metric(metric):
    found = from_variables(primary_metric=str(metric))
    assert found.primary_metric is metric
    assert Settings.from_snapshot(json.loads(json.dumps(found.snapshot()))) == found


@pytest.mark.parametrize("metric", ["", "Spend", "revenue"])
def test_another_metric_is_refused(metric):
    with pytest.raises(SettingsError, match=r"primary_metric is .*: it takes 'bought_again', 'spend' or 'sessions'\.$"):
        from_variables(primary_metric=metric)


def test_nothing_is_learnt_unless_it_is_switched_on():
    assert not from_variables().learn_variants
    assert from_variables(learn_variants="true").learn_variants


@pytest.mark.parametrize("name", ["", "summer", "2027", "two-for_one", "x" * 40])
def test_an_offer_has_a_short_plain_name_or_none(name):
    assert from_variables(offer=name).offer == name


@pytest.mark.parametrize("name", ["Summer", "-summer", "two for one", "été", "x" * 41, "summer\n", " "])
def test_another_name_of_an_offer_is_refused(name):
    with pytest.raises(SettingsError, match=r"engage_offer is .*: it takes a name of up to 40 small letters, digits, "):
        from_variables(offer=name)


@pytest.mark.parametrize("text", ["", "21:00-8:00", "8-21", "always"])
def test_sending_hours_that_cannot_be_are_refused_with_an_example(text):
    with pytest.raises(
        SettingsError, match=r"engage_sending_hours is .* it takes two times of one day such as 8:00-21"
    ):
        from_variables(sending_hours=text)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", []),
        (" ", []),
        ("ada@example.com", ["ada@example.com"]),
        (" ada@example.com,ben+ops@sub.example.com ", ["ada@example.com", "ben+ops@sub.example.com"]),
    ],
)
def test_alerts_go_to_addresses_with_commas_between_them(text, addresses):
    assert alert.addresses(from_variables(alert_emails=text).alert_emails) == addresses


@pytest.mark.parametrize(
    "text",
    ["ada", "ada@example", "ada@example.com;ben@example.com", "ada@example.com,", "ada@@example.com", "a b@example.com",
     "Ada <ada@example.com>", "{{ ti }}@example.com", "ada@example.com\nBcc: eve@example.com", "@example.com"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(SettingsError, match=r"engage_alert_emails is .* is not an e-mail address; it takes e-mail"):
        from_variables(alert_emails=text)


# --- phones of the staff


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", ()),
        ("  ", ()),
        ("+12025550123", ("+12025550123",)),
        (" +12025550123 ,+447400123456,+12025550123", ("+12025550123", "+447400123456")),
        ("+4407400123456", ("+447400123456",)),
    ],
)
def test_phones_for_test_messages_are_canonical_and_each_stands_once(text, numbers):
    assert phone.numbers(from_variables(test_phones=text).test_phones) == numbers


@pytest.mark.parametrize(
    "text", ["12025550123", "+12025550123;+12025550124", "+1202555", "Ana +12025550123", ",", "+18005550123"]
)
def test_what_is_no_mobile_number_is_refused(text):
    with pytest.raises(SettingsError, match=r"engage_test_phones is .* is not the number of a mobile phone in E.164"):
        from_variables(test_phones=text)


def test_no_campaign_keeps_the_phones_of_the_staff():
    assert "12025550123" not in json.dumps(from_variables(test_phones="+12025550123").snapshot())
