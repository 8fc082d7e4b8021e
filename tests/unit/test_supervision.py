"""When a dead Postgres is started again."""

from __future__ import annotations

import logging

import pytest

from engage.errors import LocalError
from engage.local import supervision
from engage.local.supervision import PostgresSupervisor


class Server:
    """Runs until it is killed; it starts unless something is broken."""

    def __init__(self) -> None:
        self.alive, self.broken, self.waits_for_clients, self.attempts = True, False, False, 0

    def running(self):
        return object() if self.alive else None

    def stopping(self) -> bool:
        return self.waits_for_clients

    def stop(self) -> None:
        self.alive = self.waits_for_clients = False

    def start(self) -> None:
        assert not self.alive
        self.attempts += 1
        if self.broken:
            raise LocalError("The embedded Postgres did not start")
        self.alive = True


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(supervision, "time", clock)
    return clock


def test_a_living_server_is_left_alone(clock):
    server = Server()
    assert not PostgresSupervisor(server).revive()
    assert server.attempts == 0


def test_a_dead_server_is_started_at_once(clock):
    server = Server()
    supervisor = PostgresSupervisor(server)
    server.alive = False
    assert supervisor.revive()
    assert not supervisor.revive()
    assert server.attempts == 1


def test_a_server_that_waits_for_its_clients_to_leave_is_ended_and_started(clock):
    """As after ``kill`` of its process."""
    server = Server()
    server.waits_for_clients = True
    assert PostgresSupervisor(server).revive()
    assert (server.alive, server.attempts) == (True, 1)


def test_a_server_that_cannot_start_is_tried_ever_more_rarely_and_without_end_and_it_is_said_once(clock, caplog):
    server = Server()
    supervisor = PostgresSupervisor(server)
    server.alive, server.broken = False, True
    with caplog.at_level(logging.WARNING):
        for clock.now in range(24 * 3600):
            assert not supervisor.revive()
    assert 24 * 60 <= server.attempts < 24 * 60 + 20
    [said] = caplog.messages
    assert "cannot be started" in said
    assert "The embedded Postgres did not start" in said

    server.broken = False
    clock.now += 60
    assert supervisor.revive()
    server.alive, server.broken = False, True
    clock.now += 60
    supervisor.revive()
    assert len(caplog.messages) == 2


def test_other_processes_may_die_of_an_outage_for_a_minute(clock):
    server = Server()
    supervisor = PostgresSupervisor(server)
    assert not supervisor.in_aftermath()
    server.alive = False
    supervisor.revive()
    assert supervisor.in_aftermath()
    clock.now += 61
    assert not supervisor.in_aftermath()
