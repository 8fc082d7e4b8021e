"""Checks what a release needs: ``python -m deploy.release --dry-run``, which is ``make release DRY_RUN=1``.

Each step prints *done*, or *skipped* and why, or *failed*. Then the exit code is 1. The release itself is made by
``.github/workflows/release.yml``, which a tag starts, and which runs these steps as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from deploy import manifests, roll_out

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("1.35", "1.36", "1.37")
"""The versions of Kubernetes whose schemas the manifests must fit."""
TMP = ("--tmpfs=/tmp", "--env=AIRFLOW_CONFIG=/tmp/airflow.cfg")
"""What a container needs besides its read-only file system."""
HOW = """\
A release is made by its tag. On the main branch, with no changes left:
  1. set the version in pyproject.toml, and name it in CHANGELOG.md with its date
  2. make release DRY_RUN=1
  3. git tag v{version} && git push origin v{version}
.github/workflows/release.yml then tests, builds, scans and pushes the image, and rolls it out: docs/delivery.md.
"""


class Skipped(Exception):
    """A step cannot run here; the text says why."""


class Failed(Exception):
    """A step has found something wrong; the text says what."""


def version() -> str:
    """The version of the code."""
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert found
    return found[1]


def check_tag() -> str:
    """The tag of this commit is the code's version, and the changelog names it."""
    tags = _output("git", "tag", "--points-at", "HEAD", "--list", "v*").split()
    if not tags:
        raise Skipped(f"no tag is on this commit; the next one is v{version()}")
    return check_version(tags, version(), (ROOT / "CHANGELOG.md").read_text())


def check_version(tags: list[str], code: str, changelog: str) -> str:
    """Compare tags with the version of the code and the sections of the changelog."""
    if tags != [f"v{code}"]:
        raise Failed(f"this commit has the tags {', '.join(tags)}, and pyproject.toml has the version {code}")
    if not re.search(rf"^## \[{re.escape(code)}\]", changelog, re.M):
        raise Failed(f"CHANGELOG.md has no section [{code}]")
    return f"v{code}"


def check_manifests() -> str:
    """The manifests fit the schemas of Kubernetes, and the rules of ``deploy/manifests.py``."""
    sources = {"base": manifests.read(manifests.KUBERNETES / "base")}
    if manifests.renders():
        sources |= {overlay.name: manifests.rendered(overlay) for overlay in manifests.OVERLAYS}
    found = [problem for documents in sources.values() for problem in manifests.problems(documents)]
    found += [problem for documents in sources.values() for problem in schema_problems(documents)]
    found += manifests.value_problems(manifests.values())
    if found:
        raise Failed("; ".join(found))
    without = "" if manifests.renders() else ". The overlays were not rendered: kubectl is not here"
    return f"{', '.join(sources)} and Airflow's values, for Kubernetes {', '.join(VERSIONS)}{without}"


def schema_problems(documents: list[dict[str, Any]]) -> list[str]:
    """What the schemas of Kubernetes refuse, an unknown key included."""
    found = []
    for wanted in VERSIONS:
        for document in documents:
            try:
                kubernetes_validate.validate(document, wanted, strict=True)
            except kubernetes_validate.ValidationError as exc:
                found.append(f"{manifests.name(document)}, Kubernetes {wanted}: {exc.message}")
    return found


def check_chart() -> str:
    """Airflow's chart takes the values."""
    helm = shutil.which("helm")
    if not helm:
        raise Skipped("helm is not here")
    values = [str(manifests.KUBERNETES / name) for name in ("airflow-values.yaml", "airflow-values-kind.yaml")]
    command = [helm, "template", *roll_out.CHART[:1], *roll_out.CHART]
    for chosen in (values[:1], values):
        made = _output(*command, *(option for file in chosen for option in ("--values", file)))
        if not any(document for document in yaml.safe_load_all(made)):
            raise Failed("the chart renders nothing")
    return f"chart {roll_out.CHART[-1]}"


def check_image() -> str:
    """The image is built, and runs the commands of the manifests."""
    docker = shutil.which("docker")
    if not docker:
        raise Skipped("docker is not here")
    if subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        raise Skipped("docker has no daemon here")
    _output(docker, "build", "--quiet", "--tag", "engage", ".")
    executor = "import airflow.providers.cncf.kubernetes.executors.kubernetes_executor"
    for command in (("bash", "-c", "engage --version"), ("python", "-c", executor)):
        _output(docker, "run", "--rm", "--read-only", *TMP, "engage", *command)
    return "engage"


def check_lint() -> str:
    """Style, types and security, workflows included."""
    return _made("lint")


def check_sbom() -> str:
    """The list of the server's packages can be made from their lock."""
    _made("sbom")
    return "sbom.json"


STEPS: dict[str, Callable[[], str]] = {
    "tag": check_tag,
    "lint": check_lint,
    "manifests": check_manifests,
    "chart": check_chart,
    "sbom": check_sbom,
    "image": check_image,
}


def dry_run(steps: dict[str, Callable[[], str]]) -> int:
    """Run the steps, print what became of each, and return the exit code."""
    failed = False
    for name, step in steps.items():
        try:
            outcome = f"done: {step()}"
        except Skipped as exc:
            outcome = f"skipped: {exc}"
        except Failed as exc:
            outcome, failed = f"failed: {exc}", True
        sys.stdout.write(f"{name:<10} {outcome}\n")
        sys.stdout.flush()
    return int(failed)


def _made(target: str) -> str:
    _output(shutil.which("make") or "make", target)
    return f"make {target}"


def _output(*command: str) -> str:
    """The output of a command in the repository.

    Raises:
        Failed: it does not end with 0.
    """
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(
            f"{Path(command[0]).name} {' '.join(command[1:3])} … ended with {done.returncode}:\n{done.stdout[-2000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    if sys.argv[1:] == ["--dry-run"]:
        sys.exit(dry_run(STEPS))
    sys.exit(HOW.format(version=version()))
