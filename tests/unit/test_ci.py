"""Continuous integration runs what a contributor runs, and trusts no action that may change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
SETUP: dict[str, Any] = yaml.safe_load((ROOT / ".github/actions/python/action.yml").read_text())
FILES = [file for file in sorted(ROOT.glob(".github/**/*.yml")) if file.is_file()]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))


def steps() -> list[dict[str, Any]]:
    return [step for job in WORKFLOW["jobs"].values() for step in job["steps"]] + SETUP["runs"]["steps"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_its_commit(file):
    used = re.findall(r"uses: (.+)$", file.read_text(), re.M)
    for action in used:
        ours = action.removeprefix("$/")  # of the commit that runs, whatever is checked out
        assert ours == action or (ROOT / ours).is_file() or (ROOT / ours / "action.yml").exists(), action
        assert ours != action or re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_jobs_may_only_read():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(WORKFLOW["jobs"])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_fast_jobs_run_on_every_python():
    supported = re.search(r"\((3, \d+)\) <= sys.version_info < \((3, \d+)\)", (ROOT / "Makefile").read_text())
    assert supported
    first, last = (int(version.split()[1]) for version in supported.groups())
    every = [f"3.{minor}" for minor in range(first, last)]
    pythons = {name: job["strategy"]["matrix"]["python"] for name, job in WORKFLOW["jobs"].items()}
    image = re.findall(r"^FROM \S+-python(\S+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert pythons == {"lint": every, "tests": every, "e2e": [every[0], every[-1]], "sbom": image}


def test_the_jobs_together_run_make_test():
    commands = [step["run"] for step in steps() if "run" in step]
    ran = {
        target for command in commands for target in command.removeprefix("bash .ci/run ").split() if target != "make"
    }
    assert ran == {"lint", "test-integration", "test-e2e", "test-deep", "test-spark", "sbom"}
    parts = re.search(r"^test: (.+) ##", (ROOT / "Makefile").read_text(), re.M)
    assert parts
    assert set(parts[1].split()) == ran - {"sbom", "test-deep", "test-spark"}


def test_the_list_of_packages_is_kept_with_the_run():
    uploads = [step["with"] for step in steps() if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert uploads == [{"name": "sbom", "path": "sbom.json", "if-no-files-found": "error"}]


def test_lint_looks_for_faults_of_security():
    recipe = re.search(r"^lint: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe
    assert "zizmor --offline" in recipe[1]
    assert "check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml" in recipe[1]
    assert set(re.findall(r" bandit .* -r (.+)", recipe[1])) == {"engage plugins dags deploy"}


def test_ci_run_runs_every_test():
    assert (ROOT / ".ci/run").read_text().endswith('\n[ $# -gt 0 ] || set -- test test-deep\nmake "$@"\n')


def test_every_test_is_either_deep_or_in_make_test():
    chosen = re.findall(r"pytest -n 3 -m (deep|\"not deep\") (.+)$", (ROOT / "Makefile").read_text(), re.M)
    both = {deep: " ".join(folders for one, folders in chosen if one == deep) for deep, _ in chosen}
    assert both == {
        '"not deep"': "tests/integration tests/dags tests/unit tests/e2e",
        "deep": "tests/integration tests/dags tests/unit tests/e2e",
    }


def test_pre_commit_runs_the_same_lint():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert [hook["entry"] for hook in hooks] == ["make lint"]
    assert "lint" in TARGETS
