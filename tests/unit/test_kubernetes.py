"""The manifests for Kubernetes: valid for three of its versions, confined, and without a secret."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import manifests, release, roll_out

ROOT = Path(__file__).resolve().parents[2]
BASE = manifests.read(manifests.KUBERNETES / "base")
SOURCES = {"base": BASE, "airflow": manifests.read(manifests.KUBERNETES / "airflow")}
if manifests.renders():  # without kubectl the files are tested as they are
    SOURCES |= {overlay.name: manifests.rendered(overlay) for overlay in manifests.OVERLAYS}
every_source = pytest.mark.parametrize("source", SOURCES)


OF_SEVERAL = {"Deployment": "engage-service"}
"""The manifest that is meant if none is named."""


def one(kind: str, documents: list[Any] = BASE, name: str | None = None) -> Any:
    wanted = name or OF_SEVERAL.get(kind)
    of_kind = [document for document in documents if document["kind"] == kind]
    [found] = [document for document in of_kind if wanted in {None, document["metadata"]["name"]}]
    return found


def pod(kind: str, name: str | None = None) -> Any:
    return one(kind, name=name)["spec"]["template"]["spec"]


def container(kind: str, name: str | None = None) -> Any:
    [found] = pod(kind, name)["containers"]
    return found


@every_source
def test_the_manifests_fit_the_schemas_of_three_versions(source):
    assert len(release.VERSIONS) == 3
    assert release.schema_problems(SOURCES[source]) == []


@every_source
def test_the_manifests_keep_the_rules(source):
    assert manifests.problems(SOURCES[source]) == []


def test_a_key_that_kubernetes_does_not_know_is_refused():
    broken = copy.deepcopy(BASE)
    one("Deployment", broken)["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    found = release.schema_problems(broken)
    assert len(found) == 3
    assert all("Deployment engage-service, Kubernetes" in problem and "livenesProbe" in problem for problem in found)


def spec(documents: list[Any]) -> Any:
    return one("Deployment", documents)["spec"]["template"]["spec"]


def first(documents: list[Any]) -> Any:
    return spec(documents)["containers"][0]


def secret(documents: list[Any]) -> None:
    documents.append({"kind": "Secret", "metadata": {"name": "engage"}, "stringData": {"hash-key": "x"}})


BREAKS: list[tuple[str, Callable[[list[Any]], Any]]] = [
    ("it may run as root", lambda all_: spec(all_)["securityContext"].pop("runAsUser")),
    ("it may run as root", lambda all_: spec(all_)["securityContext"].pop("runAsNonRoot")),
    ("its system calls are not restricted", lambda all_: spec(all_)["securityContext"].pop("seccompProfile")),
    ("it has a token of the cluster's API", lambda all_: spec(all_).pop("automountServiceAccountToken")),
    ("Services make variables in it", lambda all_: spec(all_).pop("enableServiceLinks")),
    ("it reaches the node", lambda all_: spec(all_)["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    ("it reaches the node", lambda all_: spec(all_).update(hostNetwork=True)),
    ("its image engage has no digest", lambda all_: first(all_).update(image="engage")),
    ("its image engage:latest has no digest", lambda all_: first(all_).update(image="engage:latest")),
    ("its container is not confined", lambda all_: first(all_)["securityContext"].pop("readOnlyRootFilesystem")),
    ("its container is not confined", lambda all_: first(all_)["securityContext"]["capabilities"].pop("drop")),
    ("its limits of cpu and memory are missing", lambda all_: first(all_)["resources"]["limits"].pop("memory")),
    ("its requests of cpu and memory are missing", lambda all_: first(all_)["resources"].pop("requests")),
    ("a probe is missing", lambda all_: first(all_).pop("readinessProbe")),
    ("the secret ENGAGE_HASH_KEY has a value", lambda all_: first(all_)["env"][1].update(value="x", valueFrom={})),
    ("a Secret must not be in the tree", secret),
    ("allows every connection", lambda all_: all_.remove(one("NetworkPolicy", all_, name="deny-by-default"))),
]


@pytest.mark.parametrize(("problem", "breaks"), BREAKS)
def test_a_breach_of_a_rule_is_named(problem, breaks):
    broken = copy.deepcopy(BASE)
    breaks(broken)
    [found] = manifests.problems(broken)
    assert problem in found


def test_the_service_runs_as_it_does_on_a_server():
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["service"]
    wrapper = "python deploy/with_secrets.py "
    assert " ".join(container("Deployment")["command"]) == compose["command"].removeprefix(wrapper)
    assert str(pod("Deployment")["securityContext"]["runAsUser"]) == compose["user"].split(":")[0]
    settings = yaml.safe_load((manifests.KUBERNETES / "base/kustomization.yaml").read_text())["configMapGenerator"][0]
    plain = {literal.split("=")[0] for literal in settings["literals"]}
    assert plain | {variable["name"] for variable in container("Deployment")["env"]} == set(compose["environment"])


def test_the_migration_runs_engages_own_command():
    assert " ".join(container("Job")["command"][2:]) in (ROOT / "deploy/init").read_text()
    assert pod("Job")["restartPolicy"] == "Never"
    assert one("Job")["spec"]["activeDeadlineSeconds"]


def test_what_lasts_has_not_the_owners_login():
    def keys(kind: str, name: str | None = None) -> set[str]:
        return {variable["valueFrom"]["secretKeyRef"]["key"] for variable in container(kind, name)["env"]}

    assert keys("Job") == {"owner-database-url", "hash-key"}
    assert keys("Deployment") == {"service-database-url", "hash-key", "sms-url"}
    assert keys("Deployment", "engage-command-line") == {"owner-database-url", "hash-key", "sms-url"}
    assert one("Deployment", name="engage-command-line")["spec"]["replicas"] == 0


def test_the_probes_are_routes_of_the_service():
    routes = set(re.findall(r'@router.get\("(/\w+)"', (ROOT / "engage/service/health_checks.py").read_text()))
    probes = {name: container("Deployment")[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")}
    assert probes == {"livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert set(probes.values()) == routes


def test_a_pod_has_time_to_answer_open_requests():
    stop = int(re.findall(r"^STOP_SECONDS = (\d+)", (ROOT / "engage/service/server.py").read_text(), re.M)[0])
    wait = container("Deployment")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod("Deployment")["terminationGracePeriodSeconds"] > stop + wait


def test_the_autoscaler_alone_sets_the_number_of_pods():
    scaler = one("HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in one("Deployment")["spec"]
    assert scaler["scaleTargetRef"]["name"] == one("Deployment")["metadata"]["name"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


def test_service_budget_and_policies_choose_the_services_pods():
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert one("Service")["spec"]["selector"].items() <= labels
    assert one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    for policy in ("requests", "dns-and-postgres"):
        chosen = one("NetworkPolicy", name=policy)["spec"]["podSelector"]["matchLabels"]
        assert chosen.items() <= labels
    for other in (one("Job"), one("Deployment", name="engage-command-line")):
        assert one("Service")["spec"]["selector"].items() - other["spec"]["template"]["metadata"]["labels"].items()


def test_the_roll_out_can_tell_the_two_parts_apart():
    labels = [(document["metadata"].get("labels", {}).get(roll_out.COMPONENT), document["kind"]) for document in BASE]
    named = {label: kind for label, kind in labels if label}
    assert named == {"service": "Deployment", "migration": "Job", "command-line": "Deployment"}
    assert f"deployment/{one('Deployment')['metadata']['name']}" == roll_out.SERVICE
    assert f"job/{one('Job')['metadata']['name']}" == roll_out.MIGRATION


def test_an_overlay_names_the_image_that_the_roll_out_replaces():
    overlay = yaml.safe_load((manifests.KUBERNETES / "overlays/example/engage/kustomization.yaml").read_text())
    [image] = overlay["images"]
    assert f"{image['newName']}@{image['digest']}" == roll_out.NO_IMAGE
    assert image["name"] == manifests.NOT_SET.split(":")[0]
    for name in {overlay.name for overlay in manifests.OVERLAYS} & SOURCES.keys():
        images = {document["spec"]["template"]["spec"]["containers"][0]["image"] for document in SOURCES[name]
                  if "template" in document.get("spec", {})}  # fmt: skip
        assert images == {roll_out.NO_IMAGE}


def test_the_namespaces_ask_for_restricted_pods():
    spaces = yaml.safe_load_all((manifests.KUBERNETES / "overlays/example/namespaces.yaml").read_text())
    enforced = {
        space["metadata"]["name"]: space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for space in spaces
    }
    assert enforced == {"engage": "restricted", "engage-airflow": "baseline"}


@pytest.mark.skipif(not manifests.renders(), reason="kubectl is not here; the files themselves are tested above")
def test_an_overlay_that_is_wrong_is_refused(tmp_path):
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]\n")
    with pytest.raises(subprocess.CalledProcessError):
        manifests.rendered(tmp_path)
