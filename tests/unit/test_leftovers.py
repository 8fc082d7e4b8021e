"""What a killed stack leaves: each process of a recorded session is ended, whatever it is called."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psutil
import pytest

from engage.local.home import Home
from engage.local.processes import end_leftovers, remember


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a session, with a child in it."""
    process = subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_living_leader_and_its_helpers_are_ended(tmp_path, leader):
    home = Home(tmp_path, 1, 2)
    [child] = psutil.Process(leader.pid).children()
    remember(home, leader.pid)
    end_leftovers(home)
    leader.wait(5)
    assert not child.is_running()


def test_a_session_that_was_not_recorded_is_left_alone(tmp_path, leader):
    end_leftovers(Home(tmp_path, 1, 2))
    assert leader.poll() is None
    psutil.Process(leader.pid).children()[0].kill()
