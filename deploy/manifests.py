"""Reads what describes an installation on Kubernetes, and finds what is wrong with it.

The values' own schema in Airflow's chart takes a misspelt executor, and a key that no part reads.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).parent / "kubernetes"
OVERLAYS = sorted(folder for folder in (KUBERNETES / "overlays").iterdir() if folder.is_dir())
NOT_SET = "engage:set-by-the-overlay"
"""The image of the base, which no registry has."""
SECRET_NAMES = re.compile(r"PASSWORD|SECRET|KEY$|TOKEN|CONN|DATABASE_URL|SMS_URL", re.I)
AIRFLOW_PARTS = ("apiServer", "scheduler", "dagProcessor", "triggerer", "migrateDatabaseJob")

Document = dict[str, Any]


def read(folder: Path) -> list[Document]:
    """The manifests in a folder's own files."""
    files = [file for file in sorted(folder.glob("*.yaml")) if file.name != "kustomization.yaml"]
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def renders() -> bool:
    """Whether this machine can render an overlay."""
    return shutil.which("kubectl") is not None


def rendered(overlay: Path) -> list[Document]:
    """The manifests of an overlay, as kubectl makes them.

    Raises:
        CalledProcessError: the overlay is wrong; ``stderr`` says why.
    """
    kubectl = shutil.which("kubectl") or "kubectl"
    done = subprocess.run([kubectl, "kustomize", str(overlay)], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def values() -> dict[str, Any]:
    """The values for Airflow's chart."""
    found: dict[str, Any] = yaml.safe_load((KUBERNETES / "airflow-values.yaml").read_text())
    return found


def problems(documents: list[Document]) -> list[str]:
    """What is wrong with the manifests of an installation, one sentence each."""
    found = [f"{name(one)}: a Secret must not be in the tree" for one in documents if one["kind"] == "Secret"]
    for document in documents:
        if "template" in document.get("spec", {}):
            found += [f"{name(document)}: {problem}" for problem in _pod_problems(document)]
    denied = {space(one) for one in documents if one["kind"] == "NetworkPolicy" and _denies_all(one)}
    working = {space(one) for one in documents if "template" in one.get("spec", {})}
    return found + [f"the namespace {one} allows every connection by default" for one in sorted(working - denied)]


def name(document: Document) -> str:
    """How a problem names a manifest."""
    return f"{document['kind']} {document['metadata']['name']}"


def space(document: Document) -> str:
    """The namespace of a manifest; empty in the base."""
    return str(document["metadata"].get("namespace", ""))


def _denies_all(policy: Document) -> bool:
    spec = policy["spec"]
    return not (spec["podSelector"] or spec.get("ingress") or spec.get("egress")) and set(spec["policyTypes"]) == {
        "Ingress",
        "Egress",
    }


def _pod_problems(document: Document) -> Iterator[str]:
    pod = document["spec"]["template"]["spec"]
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "it may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "its system calls are not restricted"
    if pod.get("automountServiceAccountToken") is not False:
        yield "it has a token of the cluster's API"
    if pod.get("enableServiceLinks") is not False:
        yield "Services make variables in it, of which Engage would read some"
    if {"hostNetwork", "hostPID", "hostIPC"} & set(pod) or any("hostPath" in one for one in pod.get("volumes", [])):
        yield "it reaches the node"
    for container in pod.get("initContainers", []) + pod["containers"]:
        yield from _container_problems(container)


def _container_problems(container: Document) -> Iterator[str]:
    image = container["image"]
    if image != NOT_SET and not re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", image):
        yield f"its image {image} has no digest"
    if container.get("securityContext") != {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }:
        yield "its container is not confined"
    for kind in ("requests", "limits"):
        if not {"cpu", "memory"} <= set(container.get("resources", {}).get(kind, {})):
            yield f"its {kind} of cpu and memory are missing"
    if "ports" in container and not {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container):
        yield "a probe is missing"
    yield from (f"the secret {one} has a value" for one in _plain_secrets(container.get("env", [])))


def _plain_secrets(variables: list[Document]) -> list[str]:
    """The variables that hold a secret by its value, and not by the name of its Secret."""
    secret = [one for one in variables if SECRET_NAMES.search(one["name"])]
    return [one["name"] for one in secret if "secretKeyRef" not in one.get("valueFrom", {})]


def value_problems(chart: dict[str, Any]) -> list[str]:
    """What is wrong with the values for Airflow's chart, one sentence each."""
    found = [] if chart.get("executor") == "KubernetesExecutor" else [f"the executor is {chart.get('executor')!r}"]
    if not re.fullmatch(r"\S+@sha256", chart["defaultAirflowRepository"]) or not re.fullmatch(
        "[0-9a-f]{64}", str(chart["defaultAirflowTag"])
    ):
        found.append("the image has no digest, as REPOSITORY@sha256 and the digest in place of a tag")
    if "airflow" in chart.get("images", {}) or chart.get("defaultAirflowDigest"):
        found.append("images.airflow and defaultAirflowDigest do not reach the tasks' pods")
    if chart["createUserJob"].get("enabled") is not False:
        found.append("createUserJob would make the user admin with the password admin")
    if not chart["migrateDatabaseJob"].get("enabled"):
        found.append("Airflow's database would not be migrated")
    found += [f"the chart would run its own {one}" for one in ("postgresql", "redis") if _on(chart, one)]
    found += [f"{one} holds a secret" for one in _literal_secrets(chart)]
    parts = {part: chart[part] for part in AIRFLOW_PARTS} | {"workers.kubernetes": chart["workers"]["kubernetes"]}
    for part, about in parts.items():
        if not {"cpu", "memory"} <= set(about.get("resources", {}).get("limits", {})):
            found.append(f"{part} has no limits of cpu and memory")
        found += [f"{part}: the secret {one} has a value" for one in _plain_secrets(about.get("env", []))]
    return found


def _on(chart: dict[str, Any], part: str) -> bool:
    return chart.get(part, {}).get("enabled") is not False


def _literal_secrets(value: Any, path: str = "") -> Iterator[str]:
    """The keys anywhere below whose values are secrets, and not names of Secrets."""
    if isinstance(value, list):
        for one in value:
            yield from _literal_secrets(one, path)
    elif isinstance(value, dict):
        for key, below in value.items():
            where = f"{path}.{key}".lstrip(".")
            if re.search(r"pass(word)?$|fernetKey$|secret(Key)?$|token$", key, re.I) and isinstance(below, str):
                yield where
            yield from _literal_secrets(below, where)
