"""A pull that is killed between two chunks, or within one, and begun again: every event once, as the source counts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engage.campaigns.pulled import PulledKind
from engage.sources import pull
from tests.integration.sources import TABLES, Warehouse, second_postgres

ROOT = Path(__file__).resolve().parents[2]
MOMENTS = (1, 2, 3, 4, 5, 9, 16, 27, 38, 60)


@pytest.fixture(scope="module")
def second_server():
    with second_postgres() as url:
        yield url


@pytest.fixture
def killed(url, world, second_server):
    """How a pull ended that dies at a moment."""
    arguments = [url, second_server, world.window.start.isoformat(), world.now.isoformat()]
    command = [sys.executable, "-m", "tests.integration.source_crash", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, **pipes) as process:

        def at(moment):
            process.stdin.write(f"{moment}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield at
        process.stdin.close()


def test_a_pull_that_is_killed_at_ten_moments_loses_no_event_and_doubles_none(world, second_server, killed):
    warehouse = Warehouse(second_server)
    warehouse.execute(TABLES)
    warehouse.fill(world.window, sessions=2400, purchases=800)
    counts = []
    for at in MOMENTS:
        assert killed(at) == -signal.SIGKILL
        counts.append(world.value("SELECT count(*) FROM app_session") + world.value("SELECT count(*) FROM purchase"))
        assert world.value("SELECT coalesce(sum(stored), 0) FROM source_pull") == counts[-1]
        assert world.value("SELECT count(*) FROM event_id") == counts[-1]
    assert counts == sorted(counts)
    assert 0 < counts[-1] < 3200, "the moments lie before and after rows are stored, and before the end"
    found = pull(world.engine, world.window, warehouse.source(), as_of=world.now)
    assert found.kinds == {
        "session": PulledKind(counted=2400, read=2400, stored=2400),
        "purchase": PulledKind(counted=800, read=800, stored=800),
    }
    assert world.value("SELECT count(*) FROM app_session") == warehouse.count("opened", world.window) == 2400
    assert world.value("SELECT count(*) FROM purchase") == warehouse.count("orders", world.window) == 800
    assert world.value("SELECT sum(amount_cents) FROM purchase") == sum(n * 25 for n in range(1, 801))
