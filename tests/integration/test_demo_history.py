"""Campaigns in a row, as ``engage demo --history`` runs them, with Airflow's part played by a step of its own."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from engage import settings
from engage.campaigns.run_options import RunOptions
from engage.cli import demo_history
from engage.errors import InputError, RunFailed
from engage.local.demo import DemoRun
from engage.sending.sender import SendingContext
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.measure import measure
from engage.steps.message import message
from engage.steps.seed import seed
from engage.window import ANCHOR, LENGTH, Window

KEY = b"k" * 32
WINDOWS = [Window(ANCHOR + number * LENGTH) for number in range(4)]
NOW = WINDOWS[-1].end + timedelta(days=40)
CUSTOMERS = 3000
TABLES = ("campaign_lift", "customer_bucket", "message", "purchase")


@pytest.fixture
def template():
    return "installed"


class FakeAirflow:
    """Has the last campaign run as Airflow would, and keeps the Variables."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.values = {"engage_holdout_percent": "0"}
        self.waits = False
        self.confs: list[dict[str, object]] = []
        self.stack = SimpleNamespace(database=self.database)

    @contextmanager
    def database(self):
        yield self.engine

    def waiting(self) -> bool:
        return self.waits

    def unpause(self) -> None:
        """No run is due."""

    @contextmanager
    def variables(self, values):
        before = dict(self.values)
        self.values |= values
        yield
        self.values = before

    def followed(self, conf, console) -> DemoRun:
        self.confs.append(conf)
        window = Window.named(conf["window_start"], NOW)
        options = RunOptions(send_late=conf["send_late"])
        chosen = settings.from_variables(self.values.get)
        extract(self.engine, window, chosen, as_of=NOW, run_id="manual__1", options=options)
        aggregate(self.engine, window)
        measure(self.engine, window, as_of=NOW)
        bucket(self.engine, window)
        message(self.engine, window, options=options, context=SendingContext(lambda: NOW))
        return DemoRun("manual__1", {})


@pytest.fixture
def airflow(world, monkeypatch):
    fake = FakeAirflow(world.engine)
    monkeypatch.setattr(demo_history, "followed", lambda airflow, conf, console: airflow.followed(conf, console))
    monkeypatch.setattr(demo_history, "hash_key", lambda: KEY)
    return fake


def shown(airflow, capsys, windows=WINDOWS, customers=CUSTOMERS):
    demo_history.demonstrate(airflow, windows, customers)
    return " ".join(capsys.readouterr().out.split())


def test_campaigns_in_a_row_end_on_a_report_with_lift_and_say_what_was_planted(world, airflow, capsys):
    printed = shown(airflow, capsys)
    assert "Running 4 campaigns in a row with 3,000 synthetic customers and a holdout of 10%." in printed
    assert "All but the last run as if on the day after their window." in printed
    for window in WINDOWS[:3]:
        texts = world.value(f"SELECT count(accepted_at) FROM message WHERE window_start = '{window.start.isoformat()}'")
        assert f"Campaign of {window}: {texts:,} texts, " in printed
    assert "Campaign 2025-04-28 to 2025-06-23 (Sent)" in printed
    assert "What the texts did (measured " in printed
    assert "Texted BOOST customers " in printed or "BOOST: " in printed
    assert "Planted: customers texted as BOOST buy 30% more often in the next window" in printed
    assert "`engage report --window-start 2025-04-28`" in printed
    measured = world.rows("SELECT DISTINCT window_start, measured_at FROM campaign_lift ORDER BY 1")
    assert [start for start, _ in measured] == [window.start for window in WINDOWS[:3]]
    day = timedelta(days=1)
    assert [at for _, at in measured] == [WINDOWS[1].end + day, WINDOWS[2].end + day, NOW]


def test_each_campaign_has_a_holdout_and_is_texted_before_the_next_window_ends(world, airflow, capsys):
    shown(airflow, capsys)
    query = """SELECT window_start, count(*) FILTER (WHERE arm = 'holdout') * 1.0 / count(arm), max(accepted_at)
               FROM message GROUP BY 1 ORDER BY 1"""
    found = world.rows(query)
    assert [row[0] for row in found] == [window.start for window in WINDOWS]
    for _, share, _ in found:
        assert float(share) == pytest.approx(0.1, abs=0.03)
    for window, (_, _, texted_at) in zip(WINDOWS[:3], found, strict=False):
        assert texted_at == window.end + timedelta(days=1)
    assert found[3][2] == NOW


def test_the_effect_is_that_of_the_texts_before_in_each_window_but_the_first(world, airflow, capsys, monkeypatch):
    seeds = []

    def watched(engine, window, *args, **options):
        found = seed(engine, window, *args, **options)
        seeds.append((window, options["effects"], found.affected))
        return found

    monkeypatch.setattr(demo_history, "seed", watched)
    shown(airflow, capsys)
    assert [(window, effects) for window, effects, _ in seeds] == [
        (window, {"BOOST": 1.3} if number else {}) for number, window in enumerate(WINDOWS)
    ]
    assert [affected > CUSTOMERS / 4 for _, _, affected in seeds] == [False, True, True, True]


def test_the_variables_are_as_before(airflow, capsys):
    shown(airflow, capsys)
    assert airflow.values == {"engage_holdout_percent": "0"}
    assert airflow.confs == [{"window_start": "2025-06-23", "send_late": True}]


def test_a_second_time_changes_nothing(world, airflow, capsys):
    first = shown(airflow, capsys)
    before = world.dump(*TABLES)
    second = shown(airflow, capsys)
    assert world.dump(*TABLES) == before
    assert first.partition("Campaign 2025-04-28")[2] == second.partition("Campaign 2025-04-28")[2]


def test_a_demonstration_that_was_interrupted_goes_on(world, airflow, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(demo_history, "followed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shown(airflow, capsys)
    before = world.dump("purchase")
    assert "Planted: " in shown(airflow, capsys)
    assert world.dump("purchase") == before


def test_a_window_that_airflow_ran_is_no_part_of_a_longer_history(world, airflow, capsys):
    shown(airflow, capsys, WINDOWS[:3])
    with pytest.raises(InputError, match="The window 2025-04-28 to 2025-06-23 has a frozen campaign with other data"):
        shown(airflow, capsys, WINDOWS)  # its texts went out long after the window


@pytest.mark.parametrize("number", [0, 2, 3])
def test_a_window_with_a_campaign_of_other_data_is_refused_and_nothing_changes(
    world, airflow, capsys, in_window, number
):
    other = in_window(WINDOWS[number])
    seed(world.engine, WINDOWS[number], 200, 1, hash_key=KEY)
    other.computed()
    other.message()
    before = world.dump(*TABLES)
    with pytest.raises(InputError) as refused:
        shown(airflow, capsys)
    assert str(refused.value) == (
        f"The window {WINDOWS[number]} has a frozen campaign with other data, so --history cannot run here. `make "
        "clean` removes all campaigns; then start it again."
    )
    assert world.dump(*TABLES) == before


def test_it_does_not_begin_while_a_run_waits_for_an_approver(world, airflow, capsys):
    airflow.waits = True
    with pytest.raises(RunFailed, match="An earlier run waits for an approver"):
        shown(airflow, capsys)
    assert world.value("SELECT count(*) FROM customer") == 0
