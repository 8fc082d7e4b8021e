"""The command line and the local stack's folder: one that is not there, one that cannot be made, and its deletion."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from engage.local import home as local_home
from engage.local import home_lock, postgres_server
from engage.local.embedded_postgres import LONGEST_PATH
from engage.local.home import CHECKOUT, Home
from tests.unit.command_line import Answer, refused

READERS = [
    ["report"], ["messages"], ["keys", "list"], ["keys", "revoke", "1"], ["messages", "reconcile"], ["maintain"],
    ["messages", "halt", "--window-start", "2025-01-06"], ["messages", "resume", "--window-start", "2025-01-06"],
    ["messages", "resolve", "1", "--window-start", "2025-01-06", "--as", "failed", "--why", "a test"],
    ["customers", "forget", "1"], ["run"], ["run", "--dry-run"],
]  # fmt: skip
"""Commands that find nothing to do in a new database."""
MAKERS = [["db", "upgrade"], ["seed"], ["serve"], ["keys", "create", "x", "--scope", "read"], ["up"], ["demo"]]

every_reader = pytest.mark.parametrize("command", READERS, ids=" ".join)
every_maker = pytest.mark.parametrize("command", MAKERS, ids=" ".join)


@pytest.fixture(autouse=True)
def no_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a command that gets as far as Postgres. Keep the caller's variables out."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("Postgres was started")

    monkeypatch.setattr(postgres_server.PostgresServer, "start", refuse)
    monkeypatch.delenv("ENGAGE_DATABASE_URL", raising=False)
    monkeypatch.delenv("ENGAGE_HOME", raising=False)


def a_stack(home: Path) -> Path:
    """The files of a stack that was stopped."""
    Home(home).make()
    (home / "lock").touch()
    (home / "postgres").mkdir()
    (home / "postgres" / "PG_VERSION").write_text("18\n")
    return home


# --- a folder that is not there


@every_reader
def test_a_mistyped_home_is_named_and_not_made(engage, monkeypatch, tmp_path, command):
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / "mistyped"))
    sentence = refused(engage(*command))
    assert sentence == (
        f"There is no database in {tmp_path}/mistyped, which ENGAGE_HOME names: {tmp_path}/mistyped/postgres does not "
        "exist. Set ENGAGE_HOME to the folder that holds your data, or ENGAGE_DATABASE_URL to your own Postgres. "
        "`engage up` starts with a new database, `engage seed` writes synthetic data into one."
    )
    assert not list(tmp_path.iterdir())


def test_without_a_home_the_default_folder_is_named(engage, monkeypatch, tmp_path):
    monkeypatch.setattr(local_home, "CHECKOUT", tmp_path)
    sentence = refused(engage("report"))
    assert f"There is no database in {tmp_path}/.engage, the default without ENGAGE_HOME: " in sentence
    assert not list(tmp_path.iterdir())


def test_a_folder_of_another_program_stays_as_it_is(engage, monkeypatch, tmp_path):
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path))
    assert "There is no database in" in refused(engage("report"))
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@every_maker
def test_a_command_that_begins_with_an_empty_database_makes_one(engage, monkeypatch, tmp_path, command):
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / "h"))
    with pytest.raises(AssertionError, match="Postgres was started"):
        engage(*command)


@pytest.mark.parametrize("command", [["report"], ["messages"]], ids=" ".join)
def test_a_home_with_data_is_opened(engage, monkeypatch, tmp_path, command):
    monkeypatch.setenv("ENGAGE_HOME", str(a_stack(tmp_path / "h")))
    with pytest.raises(AssertionError, match="Postgres was started"):
        engage(*command)


# --- a folder that cannot be made


UNUSABLE = {
    "a file": "file",
    "below a file": "file/home",
    "no place for folders": "/proc/engage/home",
    "a loop": "loop/home",
    "a long path": "x" * LONGEST_PATH,
    "a long name": "x" * 300,
    "a very long path": "/".join(["x" * 200] * 30),
}
"""Paths below a folder with a file and a link that leads to itself."""


@pytest.mark.parametrize("command", [*MAKERS, ["report"], ["clean"], ["clean", "--yes"]], ids=" ".join)
@pytest.mark.parametrize("why", UNUSABLE)
def test_a_home_that_cannot_be_made_is_one_sentence(engage, monkeypatch, tmp_path, command, why):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / UNUSABLE[why]))
    answer = engage(*command)
    if command[0] == "clean" and answer.code == 0:
        assert answer.words.startswith("There is nothing to delete in ")
        return
    assert "ENGAGE_HOME" in refused(answer)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")])
@pytest.mark.parametrize("command", [["db", "upgrade"], ["up"], ["clean", "--yes"], ["report"]], ids=" ".join)
def test_a_home_that_may_not_be_written_is_one_sentence(engage, monkeypatch, tmp_path, command, error):
    """As root, whom no mode stops, the error is made up."""
    home = a_stack(tmp_path / "h")
    monkeypatch.setenv("ENGAGE_HOME", str(home))
    touch = Path.touch

    def refuse(path: Path, *args: object, **kwargs: object) -> None:
        if home in path.parents:
            raise OSError(error.errno, error.strerror, str(path))
        touch(path, *args, **kwargs)

    monkeypatch.setattr(Path, "touch", refuse)
    sentence = refused(engage(*command))
    assert sentence.startswith(f"The folder {home} cannot be used: [Errno {error.errno}] {error.strerror}: ")
    assert sentence.endswith("Set ENGAGE_HOME to a folder that you may write to.")


def test_an_error_with_another_file_is_no_fault_of_the_home(engage, monkeypatch, tmp_path):
    monkeypatch.setenv("ENGAGE_HOME", str(a_stack(tmp_path / "h")))

    def fail(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError(2, "No such file", "/elsewhere")

    monkeypatch.setattr(home_lock, "_take", fail)
    with pytest.raises(FileNotFoundError):
        engage("report")


# --- clean


class Terminal:
    """Standard input as a terminal at which the operator has typed an answer."""

    def __init__(self, typed: str) -> None:
        self.lines = [typed]

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.lines.pop() if self.lines else ""

    def __iter__(self) -> Terminal:
        return self


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    home = a_stack(tmp_path / "h")
    monkeypatch.setenv("ENGAGE_HOME", str(home))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return home


def cleaned(engage, monkeypatch: pytest.MonkeyPatch, typed: str) -> Answer:
    monkeypatch.setattr(sys, "stdin", Terminal(typed + "\n"))
    return engage("clean")


@pytest.mark.parametrize("typed", ["y", "yes", "Y"])
def test_clean_deletes_once_the_operator_agrees(engage, monkeypatch, stack, typed):
    answer = cleaned(engage, monkeypatch, typed)
    assert answer.code == 0
    assert f"Delete the data in {stack}" in answer.words
    assert "every customer and campaign" in answer.words
    assert not stack.exists()


@pytest.mark.parametrize("typed", ["n", "no", ""])
def test_clean_deletes_nothing_without_a_yes(engage, monkeypatch, stack, typed):
    answer = cleaned(engage, monkeypatch, typed)
    assert answer.code == 1
    assert "Nothing was deleted." in answer.words
    assert (stack / "postgres" / "PG_VERSION").exists()


def test_clean_without_a_terminal_deletes_nothing_and_names_the_option(engage, stack):
    assert refused(engage("clean")) == (
        f"This would delete the data in {stack}: every customer and campaign in the embedded Postgres, Airflow's runs, "
        "logs and secrets. Without a terminal it cannot ask; say `engage clean --yes` to delete it."
    )
    assert (stack / "postgres" / "PG_VERSION").exists()


@pytest.mark.parametrize("option", ["--yes", "-y"])
def test_clean_with_yes_does_not_ask(engage, stack, option):
    answer = engage("clean", option)
    assert (answer.code, answer.words) == (0, f"Deleted the data in {stack}.")
    assert not stack.exists()


def test_clean_leaves_a_folder_without_a_stack_alone(engage, monkeypatch, tmp_path):
    """Also one with folders of the same names, after a mistyped ENGAGE_HOME."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path))
    answer = engage("clean", "--yes")
    assert (answer.code, answer.words) == (0, f"There is nothing to delete in {tmp_path}.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "tmp"]


def test_make_clean_asks_on_a_terminal_only():
    recipe = (CHECKOUT / "Makefile").read_text().partition("\nclean:")[2].partition("\n\n")[0]
    assert "engage clean $$([ -t 0 ] || echo --yes)" in recipe
