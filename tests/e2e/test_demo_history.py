"""``engage demo --history``: campaigns in a row on a real stack, and the same again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any

import pytest

from engage.local import embedded_postgres
from engage.local.home import Home
from tests.e2e.support import Campaigns, CommandLine
from tests.server_folder import server_folder

pytestmark = pytest.mark.deep

ARGUMENTS = ("demo", "--history", "3", "--customers", "3000")
TABLES = ("campaign_lift", "customer_bucket", "message")


@dataclass(frozen=True)
class Shown:
    """What a demonstration printed, and what it left in the database."""

    done: CompletedProcess[str]
    rows: dict[str, list[tuple[Any, ...]]]
    campaigns: list[tuple[Any, ...]]

    @property
    def words(self) -> str:
        return " ".join(self.done.stdout.split())


def demonstrated(command: CommandLine) -> Shown:
    done = command.run(*ARGUMENTS)
    with embedded_postgres.engine(Home(command.home)) as engine:
        found = Campaigns(engine)
        rows = {name: sorted(found.rows(f"SELECT * FROM {name}"), key=repr) for name in TABLES}
        query = "SELECT window_start, run_id, settings ->> 'holdout_percent', status FROM campaign ORDER BY 1"
        return Shown(done, rows, found.rows(query))


@pytest.fixture(scope="module")
def command() -> Iterator[CommandLine]:
    with server_folder("home") as home:
        command = CommandLine(home)
        yield command
        command.kill_everything()


@pytest.fixture(scope="module")
def first(command: CommandLine) -> Shown:
    return demonstrated(command)


def test_it_runs_campaigns_in_a_row_and_ends_on_the_report_to_open(first: Shown) -> None:
    assert first.done.returncode == 0, first.done.stderr
    starts = [f"{start:%Y-%m-%d}" for start, *_ in first.campaigns]
    assert len(starts) == 3
    assert "Running 3 campaigns in a row with 3,000 synthetic customers" in first.words
    assert re.search(rf"Campaign of {starts[2]} to \S+, in Airflow: seed: skipped", first.words)
    assert f"Campaign {starts[1]} to {starts[2]} (Sent)" in first.words
    assert f"`engage report --window-start {starts[1]}`" in first.words
    assert {row[0] for row in first.rows["campaign_lift"]} == {start for start, *_ in first.campaigns[:2]}


def test_every_campaign_was_sent_with_a_holdout_and_only_the_last_in_airflow(first: Shown) -> None:
    assert [row[3] for row in first.campaigns] == ["complete"] * 3
    assert {float(row[2]) for row in first.campaigns} == {10}
    assert [row[1].partition("__")[0] for row in first.campaigns] == ["demo-history", "demo-history", "manual"]


def shown(found: Shown) -> str:
    """What it printed from the report on, without the minute of measuring: each run measures once more."""
    return re.sub(r"\(measured .*? UTC\)", "(measured)", found.words.partition("(Sent)")[2])


def test_again_it_changes_nothing_and_shows_the_same(first: Shown, command: CommandLine) -> None:
    again = demonstrated(command)
    assert again.done.returncode == 0, again.done.stderr
    assert {name: again.rows[name] for name in TABLES[1:]} == {name: first.rows[name] for name in TABLES[1:]}
    assert len(again.rows["campaign_lift"]) == len(first.rows["campaign_lift"])
    assert shown(again) == shown(first)
    assert again.campaigns == first.campaigns


def test_a_demonstration_without_a_history_still_runs_there(first: Shown, command: CommandLine) -> None:
    done = command.run("demo", "--customers", "1000")
    assert done.returncode == 0, done.stderr
    assert "changed nothing and sent nothing" in " ".join(done.stdout.split())
