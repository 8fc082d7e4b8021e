"""What ``make release DRY_RUN=1`` checks, and the workflow that makes a release."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import manifests, release, roll_out
from deploy.release import Failed, Skipped, check_version, dry_run

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / ".github/workflows/release.yml").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def raises(exc: Exception) -> Any:
    def step() -> str:
        raise exc

    return step


def test_each_step_says_what_became_of_it(capsys):
    steps = {"one": lambda: "it", "two": raises(Skipped("helm is not here")), "three": lambda: "that"}
    assert dry_run(steps) == 0
    assert capsys.readouterr().out == (
        "one        done: it\ntwo        skipped: helm is not here\nthree      done: that\n"
    )


def test_a_step_that_fails_stops_no_other_and_fails_the_whole(capsys):
    assert dry_run({"one": raises(Failed("it is wrong")), "two": lambda: "that"}) == 1
    assert capsys.readouterr().out == "one        failed: it is wrong\ntwo        done: that\n"


def test_a_tag_is_the_version_of_the_code_and_of_the_changelog():
    assert check_version(["v1.2.0"], "1.2.0", "# Changelog\n\n## [1.2.0] - 2026-11-28\n") == "v1.2.0"
    with pytest.raises(Failed, match=r"has the tags v1.2.1, and pyproject.toml has the version 1.2.0"):
        check_version(["v1.2.1"], "1.2.0", "## [1.2.0]\n")
    with pytest.raises(Failed, match=r"no section \[1.2.0\]"):
        check_version(["v1.2.0"], "1.2.0", "## [Unreleased]\n\n## [1x2x0]\n")


def test_manifests_and_values_are_checked_by_schema_and_by_rule(monkeypatch):
    monkeypatch.setattr(release, "VERSIONS", ("1.37",))
    monkeypatch.setattr(manifests, "OVERLAYS", [])
    assert release.check_manifests().startswith("base and Airflow's values, for Kubernetes 1.37")
    broken = manifests.values() | {"executor": "KubernetesExecuter"}
    monkeypatch.setattr(manifests, "values", lambda: broken)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"portz": []}}
    monkeypatch.setattr(manifests, "read", lambda _: [service])
    with pytest.raises(Failed, match=r"Service x, Kubernetes 1.37: .*'portz'.*; the executor is 'KubernetesExecuter'"):
        release.check_manifests()


@pytest.mark.parametrize("name", ["helm", "docker"])
def test_a_program_that_is_missing_skips_its_step(name, monkeypatch):
    monkeypatch.setattr(release.shutil, "which", lambda _: None)
    with pytest.raises(Skipped, match=f"{name} is not here"):
        {"helm": release.check_chart, "docker": release.check_image}[name]()


def test_a_command_that_fails_fails_its_step():
    with pytest.raises(Failed, match=r"ended with 3:\nwhy"):
        release._output(sys.executable, "-c", "import sys; print('why'); sys.exit(3)")


def test_without_a_dry_run_it_says_how_a_release_is_made():
    command = [sys.executable, "-m", "deploy.release"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"git tag v{release.version()} && git push origin v{release.version()}" in done.stderr


def test_the_steps_of_the_workflow_follow_each_other():
    needs = {name: job.get("needs") for name, job in JOBS.items()}
    assert needs == {"test": None, "build": "test", "kind": "build", "deploy": ["build", "kind"]}
    order = ["make release DRY_RUN=1", '"$TRIVY" image', "--exit-code 1", "docker push"]
    found = [TEXT.index(part) for part in order]
    assert found == sorted(found)


def test_each_job_may_do_no_more_than_it_needs():
    assert WORKFLOW["permissions"] == {}
    rights = {name: job["permissions"] for name, job in JOBS.items()}
    read = {"contents": "read"}
    assert rights == {"test": read, "build": read | {"packages": "write"}, "kind": read | {"packages": "read"}, "deploy": read}  # fmt: skip # noqa: E501
    assert all(job["timeout-minutes"] <= 90 for name, job in JOBS.items() if name != "test")
    assert WORKFLOW["concurrency"] == {"group": "release", "cancel-in-progress": False}


def test_a_secret_reaches_only_the_step_of_the_protected_environment():
    holders = {name for name, job in JOBS.items() if "secrets." in yaml.safe_dump(job)}
    assert holders == {"deploy"}
    assert JOBS["deploy"]["environment"] == "production"
    for job in JOBS.values():
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", "")  # values come in as variables, never as a part of a script


def test_images_are_named_by_their_digest():
    assert re.fullmatch(r"ghcr.io/aquasecurity/trivy:[\d.]+@sha256:[0-9a-f]{64}", JOBS["build"]["env"]["TRIVY"])
    assert "image={{index .RepoDigests 0}}" in TEXT
    assert ":latest" not in TEXT


@pytest.mark.parametrize("job", ["kind", "deploy"])
def test_a_roll_out_of_the_workflow_is_one_that_the_program_takes(job, monkeypatch):
    [script] = [step["run"] for step in JOBS[job]["steps"] if "roll_out.py" in step.get("run", "")]
    command = script[script.index("roll_out.py") :].replace("\\\n", " ").split()[1:]
    image = f"r/engage@sha256:{'a' * 64}"
    found = roll_out.options([image if word == '"$IMAGE"' else word for word in command])
    assert found.image == image
    paths = [word for word in command if word.startswith("deploy/")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert "smoke" in " ".join(found.smoke)


@pytest.mark.parametrize("script", ["kind-cluster", "kind-smoke"])
def test_the_scripts_for_kind_are_sound(script):
    file = ROOT / "deploy/kubernetes" / script
    assert "set -euo pipefail" in file.read_text()
    assert subprocess.run(["bash", "-n", file], check=False).returncode == 0
    assert [path for path in re.findall(r"deploy/[\w./-]+", file.read_text()) if not (ROOT / path).exists()] == []
