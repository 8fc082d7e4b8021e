"""The smoke test of an installation, against a real Airflow and a real service."""

from __future__ import annotations

import json

import pytest

from deploy import smoke
from tests.e2e.support import USER, VIEWER, Airflow, Campaigns, past_window

WINDOW = past_window(5)
CONF = {"window_start": f"{WINDOW.start:%Y-%m-%d}", "seed": True, "customers": 50, "rng_seed": 1}


def arguments(airflow: Airflow) -> list[str]:
    home = airflow.stack.home
    return [home.service_url, home.url, "--conf", json.dumps(CONF)]


def log_in(monkeypatch: pytest.MonkeyPatch, airflow: Airflow, user: str) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("ENGAGE_SMOKE_USER", user)
    monkeypatch.setenv("ENGAGE_SMOKE_PASSWORD", airflow.stack.password(user))


def test_its_dry_run_computes_a_campaign_and_queues_nothing(airflow, campaigns: Campaigns, monkeypatch, capsys):
    log_in(monkeypatch, airflow, USER)
    smoke.main(arguments(airflow))
    found = campaigns.of(WINDOW)
    assert found
    assert f"The dry run {found['run_id']} has succeeded." in capsys.readouterr().out
    assert (found["status"], found["frozen_at"]) == ("bucketed", None)
    assert campaigns.messages(WINDOW) == {}
    campaigns.remove(WINDOW)


def test_a_user_who_may_only_look_is_refused(airflow, campaigns: Campaigns, monkeypatch):
    log_in(monkeypatch, airflow, VIEWER)
    with pytest.raises(SystemExit, match=r"dagRuns is refused with HTTP 403"):
        smoke.main(arguments(airflow))
    assert campaigns.of(WINDOW) is None
