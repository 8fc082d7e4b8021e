"""The smoke test of an installation, against a double of the service and of Airflow's API on 127.0.0.1."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from deploy import smoke
from engage.airflow_names import DAG_ID
from tests.served import served

DAG = f"/api/v2/dags/{DAG_ID}"
RUN = f"{DAG}/dagRuns/manual__1"


class Installation:
    """What the double answers, and what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {
            "GET /readyz": [(503, {}), (200, {"status": "ready"})],
            "POST /auth/token": [(201, {"access_token": "a-token"})],
            f"GET {DAG}": [(404, {}), (200, {"is_paused": False})],
            f"PATCH {DAG}": [(200, {})],
            f"POST {DAG}/dagRuns": [(200, {"dag_run_id": "manual__1"})],
            f"GET {RUN}": [(200, {"state": "running"}), (200, {"state": "success"})],
        }
        self.asked: list[tuple[str, Any, str | None]] = []
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> tuple[int, Any]:
        """The next answer to this request; the last one is given again."""
        name = f"{request.command} {request.path}"
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.asked.append((name, json.loads(body) if body else None, request.headers.get("Authorization")))
        answers = self.answers[name]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def bodies(self, name: str) -> list[Any]:
        return [body for asked, body, _ in self.asked if asked == name]


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    double = Installation()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = double.answer(self)
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    monkeypatch.setattr(smoke, "PAUSE", 0.01)
    monkeypatch.setattr(smoke, "READY_WITHIN", 5.0)
    monkeypatch.setattr(smoke, "RUN_WITHIN", 5.0)
    monkeypatch.setenv("ENGAGE_SMOKE_USER", "ada")
    monkeypatch.setenv("ENGAGE_SMOKE_PASSWORD", "only for tests")
    with served(Handler, threading.Event()) as port:
        double.url = f"http://127.0.0.1:{port}"
        yield double


def test_it_waits_for_the_service_and_the_dag_and_runs_dry(installation, capsys):
    smoke.main([installation.url + "/", installation.url])
    assert capsys.readouterr().out == "The service is ready.\nThe dry run manual__1 has succeeded.\n"
    assert installation.bodies(f"POST {DAG}/dagRuns") == [{"logical_date": None, "conf": {"dry_run": True}}]
    assert installation.bodies("POST /auth/token") == [{"username": "ada", "password": "only for tests"}]
    assert {token for name, _, token in installation.asked if DAG in name} == {"Bearer a-token"}
    assert len(installation.bodies("GET /readyz")) == len(installation.bodies(f"GET {RUN}")) == 2


def test_its_run_is_dry_whatever_is_asked_for(installation):
    smoke.main([installation.url, installation.url, "--conf", '{"seed": true, "dry_run": false}'])
    [body] = installation.bodies(f"POST {DAG}/dagRuns")
    assert body["conf"] == {"seed": True, "dry_run": True}


def test_it_unpauses_only_if_told_to(installation):
    installation.answers[f"GET {DAG}"] = [(200, {"is_paused": True})]
    with pytest.raises(SystemExit, match="is paused, so no run would start"):
        smoke.main([installation.url, installation.url])
    assert installation.bodies(f"PATCH {DAG}") == installation.bodies(f"POST {DAG}/dagRuns") == []
    smoke.main([installation.url, installation.url, "--unpause"])
    assert installation.bodies(f"PATCH {DAG}") == [{"is_paused": False}]


def test_a_run_that_fails_fails_it(installation):
    installation.answers[f"GET {RUN}"] = [(200, {"state": "failed"})]
    with pytest.raises(SystemExit, match="manual__1 has ended as failed"):
        smoke.main([installation.url, installation.url])


@pytest.mark.parametrize(("request_", "status"), [("POST /auth/token", 401), (f"POST {DAG}/dagRuns", 403)])
def test_a_refusal_is_not_repeated(installation, request_, status):
    installation.answers[request_] = [(status, {"detail": "no"})]
    with pytest.raises(SystemExit, match=f'^http://.* is refused with HTTP {status}: {{"detail": "no"}}'):
        smoke.main([installation.url, installation.url])
    assert len(installation.bodies(request_)) == 1


def test_a_refusal_of_the_service_is_a_sentence_too(installation):
    installation.answers["GET /readyz"] = [(403, b"no")]
    with pytest.raises(SystemExit, match=r"^http://\S+/readyz is refused with HTTP 403: no"):
        smoke.main([installation.url, installation.url])


def test_a_page_of_a_proxy_is_no_answer(installation):
    """An ingress controller without a backend, or before it has read the rules, answers with a page of its own."""
    installation.answers["GET /readyz"] = [(200, b"<html>welcome</html>"), (200, {"status": "ready"})]
    smoke.main([installation.url, installation.url])
    assert len(installation.bodies("GET /readyz")) == 2


def test_it_gives_up_after_a_time(installation, monkeypatch):
    monkeypatch.setattr(smoke, "READY_WITHIN", 0.05)
    installation.answers["GET /readyz"] = [(503, {})]
    with pytest.raises(SystemExit, match="The service: HTTP 503, for 0 seconds"):
        smoke.main([installation.url, installation.url])
    assert len(installation.asked) > 1


def test_it_says_that_nothing_answers(monkeypatch):
    monkeypatch.setattr(smoke, "READY_WITHIN", 0.0)
    with pytest.raises(SystemExit, match=r"The service: .*refused"):
        smoke.main(["http://127.0.0.1:1", "http://127.0.0.1:1"])


def test_it_needs_a_login(installation, monkeypatch):
    monkeypatch.delenv("ENGAGE_SMOKE_PASSWORD")
    with pytest.raises(SystemExit, match="They take a login of Airflow"):
        smoke.main([installation.url, installation.url])


def test_it_takes_addresses_only(capsys):
    with pytest.raises(SystemExit):
        smoke.main(["file:///etc/passwd", "http://127.0.0.1:1"])
    assert "is no address such as" in capsys.readouterr().err


def test_the_dag_has_the_option_that_it_uses():
    from tests.unit.test_ci import ROOT

    assert smoke.DAG == DAG_ID
    assert '"dry_run": Param(False, type="boolean"' in (ROOT / "dags/customer_engagement.py").read_text()
