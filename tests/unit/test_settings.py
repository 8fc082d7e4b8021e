from __future__ import annotations

import json
from decimal import Decimal

import pydantic
import pytest

from engage import settings
from engage.errors import SettingsError
from engage.settings import Settings

OR_A_SHARE = "or a share of the customers such as lowest 20%, highest 10% or lowest 5000"
NUMBERS = {
    "low_spend_threshold": f"a number from 0 to 1000000000 with at most 2 decimals, {OR_A_SHARE}",
    "high_activity_threshold": f"a number from 0 to 1000000 with at most 15 digits, {OR_A_SHARE}",
    "send_within_days": "a whole number of days from 1 to 3650",
}
TEXTS = ("message_boost", "message_reward")

# airflow._shared.secrets_masker.DEFAULT_SENSITIVE_FIELDS: the UI shows *** for a Variable with one of these in its key.
MASKED = (
    "access_key", "access_token", "api_key", "apikey", "auth_header", "authorization", "bearer", "connection_string",
    "dsn", "keyfile_dict", "passphrase", "passwd", "password", "private_key", "proxies", "proxy", "proxy_password",
    "secret", "service_account", "service_key", "token", "webhook_url",
)  # fmt: skip


def from_variables(**variables: object) -> Settings:
    return settings.from_variables({f"engage_{name}": value for name, value in variables.items()}.get)


def test_without_variables_the_defaults_of_the_rule_hold():
    found = from_variables()
    assert found == Settings()
    assert found.low_spend_threshold == Decimal("100.00")
    assert found.high_activity_threshold == Decimal("5.0")
    assert found.send_within_days == 7
    assert found.sms_provider == "sandbox"


def test_the_default_texts_say_how_to_opt_out():
    assert "STOP" in Settings().message_boost
    assert "STOP" in Settings().message_reward


@pytest.mark.parametrize("name", ["low_spend_threshold", "high_activity_threshold"])
@pytest.mark.parametrize("zero", ["0", "0.0", "0.00", 0, 0.0])
def test_zero_is_a_valid_threshold(name, zero):
    assert getattr(from_variables(**{name: zero}), name) == 0


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("120", 12_000),
        ("120.5", 12_050),
        (" 99.99\n", 9_999),
        ("0.01", 1),
        ("1e2", 10_000),
        ("0.29", 29),  # 0.29 * 100 is 28.999… as a float
        ("1000000000.00", 100_000_000_000),
        (19.99, 1_999),
        (120, 12_000),
    ],
)
def test_a_spend_threshold_is_exact_to_the_cent(text, cents):
    assert from_variables(low_spend_threshold=text).low_spend_threshold * 100 == cents


def test_an_edited_variable_replaces_its_default_only():
    found = from_variables(high_activity_threshold="7.5", message_boost="Come back!")
    assert found == Settings(high_activity_threshold=Decimal("7.5"), message_boost="Come back!")
    assert found.message_reward == Settings().message_reward


@pytest.mark.parametrize(
    "value",
    ["abc", "-1", "-0.01", "NaN", "nan", "sNaN", "inf", "-inf", "Infinity", "", " ", "\n", "1e400", "1e-400", "0x10",
     "1_000", "5,5", "1 2", "five", "None", "null", "true", "1" * 5000, 1e400, float("nan"), -1, True, False],
)  # fmt: skip
@pytest.mark.parametrize("name", NUMBERS)
def test_a_bad_number_is_refused_naming_the_variable_the_value_and_the_range(name, value):
    with pytest.raises(SettingsError) as raised:
        from_variables(**{name: value})
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    assert str(raised.value) == (
        f"The Airflow Variable engage_{name} is {shown}, which is not allowed: it takes {NUMBERS[name]}."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("low_spend_threshold", "100.001"),
        ("low_spend_threshold", 100.001),
        ("low_spend_threshold", "1000000000.01"),
        ("high_activity_threshold", "1000000.1"),
        ("send_within_days", "3651"),
        ("send_within_days", "0"),
        ("send_within_days", "7.5"),
        ("send_within_days", 7.5),
    ],
)
def test_a_number_just_outside_its_range_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"^The Airflow Variable engage_{name} is .*: it takes {NUMBERS[name]}.$"):
        from_variables(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("low_spend_threshold", "1000000000"),
        ("high_activity_threshold", "1000000"),
        ("high_activity_threshold", "0.000001"),
        ("send_within_days", "3650"),
        ("send_within_days", "1"),
    ],
)
def test_the_ends_of_a_range_belong_to_it(name, value):
    assert getattr(from_variables(**{name: value}), name) == Decimal(value)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", ["", " ", "\n\t", "x" * 1001, "a\0b", 5, True, ["text"]])
def test_a_text_that_nobody_could_be_sent_is_refused(name, value):
    with pytest.raises(
        SettingsError, match=f"^The Airflow Variable engage_{name} is .* it takes a text of 1 to 1000 ch"
    ):
        from_variables(**{name: value})


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_kept_as_it_was_written(name):
    text = "  50 % off — «très bon» {not_a_template} %s 'quoted' 🍔 "
    assert getattr(from_variables(**{name: text}), name) == text
    assert getattr(from_variables(**{name: "x" * 1000}, max_segments="10"), name) == "x" * 1000


@pytest.mark.parametrize("value", ["carrier pigeon", "", "Sandbox", " sandbox", None])
def test_only_a_known_provider_is_allowed(value):
    with pytest.raises(SettingsError, match=r"^sms_provider is .*: it takes 'sandbox' or 'twilio'\.$"):
        settings.validate({"sms_provider": value})


def test_a_long_value_is_shortened_in_the_message():
    with pytest.raises(SettingsError) as raised:
        from_variables(low_spend_threshold="x" * 100_000)
    assert len(str(raised.value)) < 300


def test_every_wrong_variable_is_named_in_one_error():
    with pytest.raises(SettingsError) as raised:
        from_variables(low_spend_threshold="abc", high_activity_threshold="-1", message_boost="ok")
    assert str(raised.value) == (
        "The Airflow Variable engage_low_spend_threshold is 'abc', which is not allowed: it takes a number from 0 to "
        f"1000000000 with at most 2 decimals, {OR_A_SHARE}; The Airflow Variable engage_high_activity_threshold is "
        f"'-1', which is not allowed: it takes a number from 0 to 1000000 with at most 15 digits, {OR_A_SHARE}."
    )


def test_an_unknown_setting_is_refused_naming_those_that_there_are():
    with pytest.raises(SettingsError) as raised:
        settings.validate({"low_spend": "1"}, label=lambda name: f"--set {name}")
    assert str(raised.value) == (
        "--set low_spend is not a setting (did you mean --set low_spend_threshold?); the settings are "
        "--set low_spend_threshold, --set high_activity_threshold, --set segments, "
        "--set send_within_days, --set message_boost, --set message_reward, --set messages, "
        "--set learn_variants, --set offer, "
        "--set max_segments, --set brand, --set price_per_segment, --set message_budget, --set over_budget, "
        "--set sending_hours, --set min_days_between_messages, --set holdout_percent, --set primary_metric, "
        "--set max_messages_per_run, --set messages_per_second, --set send_concurrency, "
        "--set max_filtered_percent, --set max_undelivered_percent, "
        "--set guard_min_volume_percent, --set guard_max_quiet_days, --set guard_max_shift_points, "
        "--set guard_rhythm, "
        "--set odd_sessions_per_day, --set odd_amount, --set odd_customers_per_phone, "
        "--set require_approval, --set approval_above, --set approvers, --set four_eyes, --set approval_hours, "
        "--set sms_provider, --set sandbox_strict, --set source, --set engine, --set alert_emails, "
        "--set test_phones, --set keep_windows, --set <name>_threshold and --set message_<segment>."
    )


def test_settings_cannot_be_changed_after_they_were_validated():
    with pytest.raises(pydantic.ValidationError):
        Settings().low_spend_threshold = Decimal(0)


@pytest.mark.parametrize(
    "given",
    [
        Settings(),
        Settings(low_spend_threshold=Decimal("0.29"), high_activity_threshold=Decimal("0.1"), send_within_days=0),
        Settings(low_spend_threshold=Decimal("999999999.99"), high_activity_threshold=Decimal("123456.123456789")),
        Settings(message_boost="🍔 «oui»", message_reward="a\nb"),
    ],
)
def test_a_snapshot_reads_back_the_same_after_json(given):
    snapshot = json.loads(json.dumps(given.snapshot()))
    assert Settings.from_snapshot(snapshot) == given


def test_a_snapshot_names_nobody():
    assert "ada@example.com" not in json.dumps(from_variables(alert_emails="ada@example.com").snapshot())


def test_a_snapshot_shows_numbers_as_numbers():
    snapshot = from_variables(low_spend_threshold="120").snapshot()
    assert snapshot["low_spend_threshold"] == 120
    assert isinstance(snapshot["low_spend_threshold"], float)
    assert snapshot["send_within_days"] == 7


def test_a_snapshot_of_another_version_reads():
    snapshot = Settings(low_spend_threshold=Decimal(120)).snapshot() | {"a_setting_since_removed": 1}
    del snapshot["message_reward"]
    assert Settings.from_snapshot(snapshot) == Settings(low_spend_threshold=Decimal(120))


def test_the_default_variables_are_a_file_that_airflow_imports():
    variables = json.loads(settings.default_variables())
    assert list(variables) == [f"engage_{name}" for name in Settings.model_fields]
    for variable in variables.values():
        assert set(variable) == {"value", "description"}
        assert isinstance(variable["value"], str | int | float)
        assert not isinstance(variable["value"], bool)
        assert "Allowed: " in variable["description"]


def test_the_default_variables_read_back_as_the_defaults():
    variables = json.loads(settings.default_variables())
    stored = {key: str(variable["value"]) for key, variable in variables.items()}  # Airflow keeps text
    assert settings.from_variables(stored.get) == Settings()


@pytest.mark.parametrize("key", [f"engage_{name}" for name in Settings.model_fields])
def test_airflow_masks_no_variable_of_ours(key):
    assert [word for word in MASKED if word in key] == []
