"""The values for Airflow's official chart. Its schema takes a misspelt executor, and a password that everyone knows."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import kubernetes_secrets, manifests
from engage.storage import database_roles

ROOT = Path(__file__).resolve().parents[2]
VALUES = manifests.values()
KIND: dict[str, Any] = yaml.safe_load((manifests.KUBERNETES / "airflow-values-kind.yaml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]


def test_the_values_keep_the_rules():
    assert manifests.value_problems(VALUES) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("executor", "KubernetesExecuter", "the executor is 'KubernetesExecuter'"),
        ("executor", "CeleryExecutor", "the executor is 'CeleryExecutor'"),
        ("defaultAirflowTag", "latest", "the image has no digest"),
        ("defaultAirflowRepository", "registry.example.com/engage", "the image has no digest"),
        ("defaultAirflowDigest", "sha256:" + "1" * 64, "do not reach the tasks' pods"),
        ("images.airflow", {"tag": "1.0"}, "do not reach the tasks' pods"),
        ("createUserJob.enabled", True, "the user admin with the password admin"),
        ("migrateDatabaseJob.enabled", False, "would not be migrated"),
        ("postgresql.enabled", True, "its own postgresql"),
        ("redis", {}, "its own redis"),
        ("fernetKey", "x", "fernetKey holds a secret"),
        ("data.metadataConnection", {"pass": "postgres"}, "data.metadataConnection.pass holds a secret"),
        ("createUserJob.defaultUser", {"password": "admin"}, "createUserJob.defaultUser.password holds a secret"),
        ("scheduler.resources", {}, "scheduler has no limits"),
        ("workers.kubernetes.resources.limits", {"cpu": "1"}, "workers.kubernetes has no limits"),
        ("apiServer.env", [{"name": "ENGAGE_HASH_KEY", "value": "x"}], "apiServer: the secret ENGAGE_HASH_KEY"),
        ("workers.kubernetes.env", [{"name": "AIRFLOW_CONN_ENGAGE_DB", "value": "x"}], "AIRFLOW_CONN_ENGAGE_DB has"),
    ],
)
def test_a_breach_of_a_rule_is_named(path, value, problem):
    broken = copy.deepcopy(VALUES)
    *above, key = path.split(".")
    at = broken
    for name in above:
        at = at[name]
    at[key] = value
    [found] = manifests.value_problems(broken)
    assert problem in found


def test_airflow_is_of_the_version_that_the_image_has():
    [image] = re.findall(r"^FROM apache/airflow:([\d.]+)-", (ROOT / "Dockerfile").read_text(), re.M)
    assert VALUES["airflowVersion"] == image


def test_the_image_can_run_the_executor():
    """KubernetesExecutor comes with a provider, which the official image has in another environment than ours."""
    assert re.search(r"^apache-airflow-providers-cncf-kubernetes==", (ROOT / "locks/server.txt").read_text(), re.M)


def test_pods_are_restricted():
    assert VALUES["securityContexts"]["containers"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert VALUES["securityContexts"]["pod"]["runAsNonRoot"] is True
    assert VALUES["securityContexts"]["pod"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [mount["mountPath"] for mount in VALUES["volumeMounts"]] == ["/tmp"]


def secret_keys(part: dict[str, Any]) -> dict[str, str]:
    found = {variable["name"]: variable.get("valueFrom", {}).get("secretKeyRef") for variable in part.get("env", [])}
    assert {reference["name"] for reference in found.values() if reference} <= {"engage-airflow"}
    return {name: reference["key"] for name, reference in found.items() if reference}


def test_each_part_has_the_login_that_it_has_on_a_server():
    def role(service: str) -> str:
        found = re.search(r"//(\w+):", COMPOSE[service]["environment"]["AIRFLOW_CONN_ENGAGE_DB"])
        assert found
        return found[1]

    keys = {"engage": "tasks", database_roles.PAGES: "pages", database_roles.ALERTS: "alerts"}
    parts = {"api-server": VALUES["apiServer"], "dag-processor": VALUES["dagProcessor"]}
    parts["scheduler"] = VALUES["workers"]["kubernetes"]  # on a server it runs the tasks
    for service, part in parts.items():
        found = secret_keys(part)
        assert found.pop("AIRFLOW_CONN_ENGAGE_DB") == f"{keys[role(service)]}-connection"
        assert ("ENGAGE_HASH_KEY" in found) == ("ENGAGE_HASH_KEY" in COMPOSE[service]["environment"])
    assert not secret_keys(VALUES["scheduler"])
    assert not secret_keys(VALUES["triggerer"])


@pytest.fixture
def secrets(tmp_path) -> Path:
    """A folder of secrets as ``make env`` writes it, each secret its own name."""
    for name in re.findall(r'"([A-Z_]+)"', (ROOT / "deploy/env.py").read_text()):
        (tmp_path / name).write_text(f"{name}\n")
    return tmp_path


def test_the_secrets_hold_every_key_that_is_named(secrets):
    found = kubernetes_secrets.secrets(secrets, "db.example.com:6432")
    parts = [VALUES["apiServer"], VALUES["dagProcessor"], VALUES["migrateDatabaseJob"], VALUES["workers"]["kubernetes"]]
    named = {key for part in parts for key in secret_keys(part).values()}
    by_the_chart = {"metadataSecretName": "connection", "fernetKeySecretName": "fernet-key"}
    by_the_chart |= {"apiSecretKeySecretName": "api-secret-key", "jwtSecretName": "jwt-secret"}
    for key in by_the_chart:
        assert (VALUES | VALUES["data"])[key] == "engage-airflow"
    assert named | set(by_the_chart.values()) == set(found["engage-airflow"])
    base = manifests.read(manifests.KUBERNETES / "base")
    pods = [document["spec"]["template"]["spec"] for document in base if "template" in document.get("spec", {})]
    variables = [variable for pod in pods for variable in pod["containers"][0]["env"]]
    assert {variable["valueFrom"]["secretKeyRef"]["key"] for variable in variables} == set(found["engage"])
    assert found["engage"]["service-database-url"] == (
        "postgresql://engage_service:ENGAGE_SERVICE_DB_PASSWORD@db.example.com:6432/engage"
    )
    assert found["engage-airflow"]["connection"] == (
        "postgresql+psycopg://airflow:AIRFLOW_DB_PASSWORD@db.example.com:6432/airflow"
    )


def test_a_missing_secret_is_named(secrets):
    (secrets / "ENGAGE_HASH_KEY").unlink()
    with pytest.raises(SystemExit, match=r"ENGAGE_HASH_KEY cannot be read: .*\. Run make env"):
        kubernetes_secrets.secrets(secrets, "db")


def test_kind_changes_only_what_a_small_machine_needs():
    assert KIND.pop("logs") == {"persistence": {"enabled": False}}
    assert set(KIND) <= set(VALUES)
    for part, about in KIND.items():
        assert (about.get("kubernetes") or about)["resources"] == {"requests": {"cpu": "50m"}}, part
