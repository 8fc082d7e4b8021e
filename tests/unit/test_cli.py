"""The command line before it opens a database: help texts, and refused input."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from engage import __version__
from engage.cli import demo_history, main
from engage.local import embedded_postgres, stack
from engage.storage import connection
from engage.window import ANCHOR, LENGTH, Window
from tests.unit.command_line import Answer, refused

OR_A_SHARE = "or a share of the customers such as lowest 20%, highest 10% or lowest 5000"
ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    "up", "demo", "db", "db upgrade", "variables", "seed", "run", "maintain", "clean", "campaigns", "report",
    "customers", "customers forget", "customers odd", "customers exclude", "customers include", "customers excluded",
    "why", "consent", "consent show", "consent verify",
    "days", "days list", "days explain", "days unexplain", "history", "history show", "history rebuild",
    "import", "import customers", "import events",
    "offers", "offers import", "offers generate", "offers list", "texts", "texts preview", "texts send-test",
    "texts propose", "texts drafts", "texts approve", "texts reject",
    "messages", "messages halt", "messages resume", "messages resolve", "messages reconcile",
    "archive", "archive list", "archive verify", "archive restore",
    "serve", "keys", "keys create", "keys revoke", "keys list", "train",
]  # fmt: skip
WITH_WINDOW = ["seed", "run", "report"]
AS_JSON = {
    "seed", "run", "maintain", "campaigns", "report", "customers forget", "customers odd", "customers excluded",
    "why", "consent show", "consent verify",
    "history show", "history rebuild", "messages", "messages reconcile", "texts preview", "texts propose",
    "texts drafts", "days list", "import customers", "import events",
    "offers import", "offers generate", "offers list", "keys create", "keys list", "train",
    "archive", "archive list", "archive verify", "archive restore",
}  # fmt: skip
"""The commands that print data."""


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fail a command that opens a database or starts the stack. Keep the checkout's own state out."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a database was opened")

    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "postgres").mkdir(parents=True)
    (tmp_path / "home" / "postgres" / "PG_VERSION").touch()
    monkeypatch.delenv("ENGAGE_DATABASE_URL", raising=False)
    monkeypatch.delenv("ENGAGE_PORT", raising=False)
    monkeypatch.setattr(embedded_postgres, "engine", refuse)
    monkeypatch.setattr(connection, "connect", refuse)
    monkeypatch.setattr(stack, "stack", refuse)


def commands(group: object, prefix: str = "") -> dict[str, object]:
    found = {}
    for name, command in getattr(group, "commands", {}).items():
        found[f"{prefix}{name}"] = command
        found |= commands(command, f"{prefix}{name} ")
    return found


# --- help


def test_the_commands_are_these():
    assert set(commands(typer.main.get_command(main.app))) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_help_of_a_command_says_what_it_does(engage, command, option):
    answer = engage(*command.split(), option)
    explained = " ".join((commands(typer.main.get_command(main.app))[command].help or "").split())
    assert answer.code == 0
    assert answer.err == ""
    assert "Usage:" in answer.words
    assert len(explained) > 20
    assert explained in answer.words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command):
    parameters = commands(typer.main.get_command(main.app))[command].params
    assert [parameter.name for parameter in parameters if not getattr(parameter, "help", None)] == []


def test_every_command_that_prints_data_prints_json_too():
    found = commands(typer.main.get_command(main.app))
    assert {name for name in found if any("--json" in parameter.opts for parameter in found[name].params)} == AS_JSON


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_help_lists_every_command_with_a_sentence(engage, arguments):
    answer = engage(*arguments)
    assert "Engage: every 8 weeks" in answer.words
    for command in COMMANDS:
        assert re.search(rf"\b{command.split()[0]} [A-Z]", answer.words)


def test_the_module_is_the_command():
    answer = subprocess.run(
        [sys.executable, "-m", "engage", "run", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0
    assert "Usage: engage run" in answer.stdout
    assert answer.stderr == ""


def test_the_version_is_that_of_the_package(engage):
    answer = engage("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"engage {__version__}\n", "")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


# --- completion

RULES_FILE = "rules.json"
RULES = '{"segments": [{"name": "LAPSING", "when": ["days_since_last_purchase > lapsing_days_threshold"]}]}'


def completed(engage: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What bash offers for the last word of a command line."""
    monkeypatch.setenv("_ENGAGE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(["engage", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    answer = engage()
    assert (answer.code, answer.err) == (0, "")
    return answer.out.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["rep"], ["report"]),
        (["messages", "re"], ["resume", "resolve", "reconcile"]),
        (["run", "--dr"], ["--dry-run"]),
        (["run", "--set", "low_"], ["low_spend_threshold="]),
        (["run", "--segments", RULES_FILE, "--set", "la"], ["lapsing_days_threshold="]),
        (["run", "--segments", RULES_FILE, "--set", "message_l"], ["message_lapsing="]),
        (["run", "--segments", "no_such_file", "--set", "la"], []),
        (["messages", "--status", "un"], ["unknown", "undelivered"]),
        (["messages", "resolve", "--as", "del"], ["delivered"]),
        (["keys", "create", "--scope", "ev"], ["events"]),
        (["seed", "--behaviour", ""], ["plain", "varied"]),
        (["seed", "--effect", "BO"], ["BOOST="]),
        (["demo", "--hi"], ["--history"]),
        (
            ["report", "--window-start", "2025-0"],
            ["2025-08-18", "2025-06-23", "2025-04-28", "2025-03-03", "2025-01-06"],
        ),
    ],
)
def test_a_shell_completes_commands_options_and_values(engage, monkeypatch, tmp_path, words, offered):
    words = [str(tmp_path / word) if word == RULES_FILE else word for word in words]
    (tmp_path / RULES_FILE).write_text(RULES)
    assert sorted(completed(engage, monkeypatch, *words)) == sorted(offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_for_the_command_engage(engage, monkeypatch, shell):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    answer = engage("--show-completion", shell)
    assert answer.code == 0
    assert "_ENGAGE_COMPLETE=" in answer.out


# --- refusals


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "low_spend_threshold=abc",
            "--set low_spend_threshold is 'abc', which is not allowed: it takes a number from 0 to 1000000000 with at "
            f"most 2 decimals, {OR_A_SHARE}.",
        ),
        (
            "high_activity_threshold=-1",
            "--set high_activity_threshold is '-1', which is not allowed: it takes a number from 0 to 1000000 "
            f"with at most 15 digits, {OR_A_SHARE}.",
        ),
        (
            "send_within_days=",
            "--set send_within_days is '', which is not allowed: it takes a whole number of days from 1 to 3650.",
        ),
        ("sms_provider=post", "--set sms_provider is 'post', which is not allowed: it takes 'sandbox' or 'twilio'."),
        (
            "low_spend_threshold",
            "--set low_spend_threshold has no value; write --set name=value, such as low_spend_threshold=120.",
        ),
        ("", "--set  has no value; write --set name=value, such as low_spend_threshold=120."),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_in_one_sentence(engage, setting, sentence):
    assert refused(engage("run", "--set", setting)) == sentence


def test_an_unknown_setting_is_refused_naming_those_that_there_are(engage):
    sentence = refused(engage("run", "--set", "low_spend_threshold=1", "--set", "colour=1"))
    assert sentence.startswith("--set colour is not a setting; the settings are --set low_spend_threshold,")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("low_spend_treshold", "--set low_spend_threshold"),
        ("engage_low_spend_threshold", "--set low_spend_threshold"),
        ("low-spend-threshold", "--set low_spend_threshold"),
        ("LOW_SPEND_THRESHOLD", "--set low_spend_threshold"),
        ("threshold", "--set low_spend_threshold"),
        ("message_bost", "--set message_boost"),
    ],
)
def test_a_mistyped_setting_is_refused_with_the_one_that_was_meant(engage, typed, meant):
    sentence = refused(engage("run", "--set", f"{typed}=1"))
    assert sentence.startswith(f"--set {typed} is not a setting (did you mean {meant}?); the settings are --set ")


@pytest.mark.parametrize(
    ("text", "more", "sentence"),
    [
        ('{"segments": []}', [], '"segments" is a list of 1 to 20 segments, and it has 0; it takes JSON of segments'),
        (RULES, [], "'days_since_last_purchase > lapsing_days_threshold' needs the setting lapsing_days_threshold"),
        ("{", [], "which is not allowed"),
        (b"\xff", [], "cannot be read: it is not UTF-8."),
        (None, [], "cannot be read: No such file or directory."),
        (RULES, ["segments={}"], "--set segments and --segments both give rules; give only one of them."),
    ],
)
def test_rules_that_are_not_allowed_are_refused_naming_their_file(engage, tmp_path, text, more, sentence):
    file = tmp_path / RULES_FILE
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = refused(engage("run", "--segments", str(file), *(word for one in more for word in ("--set", one))))
    assert said.startswith(f"--segments {file} ") or more
    assert sentence in said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lapsing_day_threshold=28", " (did you mean --set lapsing_days_threshold?)"),
        ("low_spnd_threshold=28", " (did you mean --set low_spend_threshold?)"),
        ("message_lapsin=Reply STOP", " (did you mean --set message_lapsing?)"),
        ("qqqqqqqqqqqqqqqqqqqqqq_threshold=1", ""),
    ],
)
def test_a_setting_that_no_rule_names_is_refused(engage, tmp_path, typed, meant):
    file = tmp_path / RULES_FILE
    file.write_text(RULES)
    named = ["--set", "lapsing_days_threshold=28", "--set", typed]
    name = typed.partition("=")[0]
    said = refused(engage("run", "--segments", str(file), *named))
    assert said.startswith(f"--set {name} is not a setting{meant}; the settings are --set low_spend_threshold,")
    assert said.endswith(", --set lapsing_days_threshold, --set message_lapsing.")


@pytest.mark.parametrize("command", WITH_WINDOW)
@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        ("soon", "'soon' is not a date. Give a window's start as YYYY-MM-DD, such as 2025-01-06."),
        ("2025-02-30", "'2025-02-30' is not a date. Give a window's start as YYYY-MM-DD, such as 2025-01-06."),
        (
            "2025-01-07",
            "2025-01-07 00:00:00 UTC is not the start of a window. Windows are 8 weeks long, counted from 2025-01-06; "
            "the nearest starts are 2025-01-06 and 2025-03-03.",
        ),
        ("2024-11-11", "2024-11-11 lies before the first window, which starts 2025-01-06."),
    ],
)
def test_a_window_start_that_names_no_window_is_refused_in_one_sentence(engage, command, start, sentence):
    assert refused(engage(command, "--window-start", start)) == sentence


@pytest.mark.parametrize("command", [["run"], ["report"], ["seed"], ["messages"], ["messages", "halt"]])
def test_a_window_start_may_lack_its_zeros(monkeypatch, engage, command):
    with pytest.raises(AssertionError, match="a database was opened"):
        engage(*command, "--window-start", "2025-3-3")


@pytest.mark.parametrize("text", ["[/]", "[red]", "[bold]2025-01-06[/bold]", ":smile:"])
def test_what_was_typed_is_shown_as_it_was_typed(engage, text):
    assert refused(engage("report", "--window-start", text)).startswith(f"{text!r} is not a date. ")


@pytest.mark.parametrize("command", WITH_WINDOW)
def test_a_window_that_is_not_over_is_refused_in_one_sentence(engage, command):
    running = Window.containing(datetime.now(UTC))
    sentence = refused(engage(command, "--window-start", f"{running.start:%Y-%m-%d}"))
    assert sentence.startswith(f"The window {running} is not complete: it ends ")
    assert sentence.endswith(f"The last complete window starts {running.previous().start:%Y-%m-%d}.")


def test_an_effect_of_another_form_is_refused_with_the_right_one(engage):
    assert refused(engage("seed", "--behaviour", "varied", "--effect", "BOOST")) == (
        "The effect 'BOOST' is not of the form SEGMENT=PERCENT, such as BOOST=+10%, with a percentage from -100 to "
        "+1000."
    )


def test_a_history_before_the_first_window_is_refused(engage, monkeypatch):
    monkeypatch.setattr(demo_history, "now", lambda: ANCHOR + 3 * LENGTH + timedelta(days=1))
    assert refused(engage("demo", "--history", "4")) == (
        "--history is 4, but only 3 windows are over since 2025-01-06."
    )
    assert demo_history.windows_until_now(3) == [Window(ANCHOR + number * LENGTH) for number in range(3)]


@pytest.mark.parametrize("command", ["seed", "demo"])
@pytest.mark.parametrize(
    ("customers", "allowed"),
    [
        ("0", "greater than or equal to 1"),
        ("10000001", "less than or equal to 10000000"),
        ("x", "integer"),
    ],
)
def test_a_number_of_customers_out_of_range_is_refused(engage, command, customers, allowed):
    answer = engage(command, "--customers", customers)
    assert answer.code == 2
    assert "Invalid value for '--customers'" in answer.words
    assert allowed in answer.words


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["seed", "--rng-seed", "-1"], "Invalid value for '--rng-seed'"),
        (["up", "--port", "0"], "Invalid value for '--port'"),
        (["demo", "--port", "65536"], "Invalid value for '--port'"),
        (["demo", "--history", "1"], "'--history': Input should be greater than or equal to 2"),
        (["demo", "--history", "13"], "'--history': Input should be less than or equal to 12"),
        (["seed", "--behaviour", "odd"], "'odd' is not one of 'plain', 'varied'"),
        (["run", "--customers", "1"], "No such option: --customers"),
        (["run", "--dry-rnu"], "No such option: --dry-rnu (Possible options: --dry-run)"),
        (["reprot"], "No such command 'reprot'. Did you mean 'report'?"),
        (["messages", "hlat"], "No such command 'hlat'. Did you mean 'halt'?"),
        (["nonsense"], "No such command 'nonsense'"),
        (["db", "nonsense"], "No such command 'nonsense'"),
    ],
)
def test_what_no_command_knows_is_refused_with_the_way_to_its_help(engage, arguments, complaint):
    answer = engage(*arguments)
    assert answer.code == 2
    assert complaint in answer.words
    assert "-h" in answer.words


def test_a_port_from_the_environment_is_checked_too(engage, monkeypatch):
    monkeypatch.setenv("ENGAGE_PORT", "http")
    answer = engage("up")
    assert answer.code == 2
    assert "Invalid value for '--port' (env var: 'ENGAGE_PORT')" in answer.words
