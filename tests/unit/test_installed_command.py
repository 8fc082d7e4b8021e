"""The command ``engage`` that ``make install`` puts into the virtual environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import engage

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in a virtual environment below a folder with a space, where this Python stands for its own."""
    venv = tmp_path_factory.mktemp("a venv") / "v"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (venv / "installed").touch()
    os.symlink(venv, link := venv.parent.with_name("link"))
    made = subprocess.run(
        ["make", "-s", f"VENV={link}", f"{link}/bin/engage"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return venv / "bin" / "engage"


def run(command: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(command), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_it_works_in_any_folder_also_in_one_with_another_package_of_this_name(command, tmp_path):
    (tmp_path / "engage").mkdir()
    (tmp_path / "engage" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    for folder in (ROOT, tmp_path):
        done = run(command, "--version", folder=folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"engage {engage.__version__}\n", "")


def test_it_passes_each_argument_on_as_it_is(command, tmp_path):
    done = run(command, "report", "--window-start", "two  words $HOME *", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: 'two  words $HOME *' is not a date.")


def test_every_way_to_the_command_line_makes_it():
    for target in ("install", "$(VENV)/tests-installed"):
        prerequisites = re.search(rf"^{re.escape(target)}: ([^#\n]*)", MAKEFILE, re.M)
        assert prerequisites
        assert "$(VENV)/bin/engage" in prerequisites[1].split()
    for target in ("demo", "up"):
        assert re.search(rf"^{target}: install\b", MAKEFILE, re.M)


def test_the_entry_point_of_the_package_is_the_same():
    [(name, target)] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].items()
    module, _, function = target.partition(":")
    assert name == "engage"
    assert getattr(import_module(module), function) is import_module("engage.cli.main").main
