"""The locks: each package of each installation by version and hash, and no test tool on the server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "engage": ["requirements.txt"],
    "server": ["requirements.txt", "deploy/requirements.txt"],
    "tests": ["tests/requirements.txt"],
    "benchmarks": ["benchmarks/requirements.txt"],
    "sbom": ["deploy/sbom.txt"],
    "spark": ["requirements-spark.txt"],
    "sail": ["deploy/sail.txt"],
    "spark-server": ["tests/spark-server.txt"],
    "uv": [],
}
"""What each lock is made from."""
INSTALLERS = ["Makefile", "Dockerfile", ".ci/run", ".github/actions/python/action.yml"]
INSTALLERS += [".github/workflows/ci.yml", ".github/workflows/release.yml"]
every_lock = pytest.mark.parametrize("lock", SOURCES)


def pins(text: str) -> set[str]:
    """Each ``name==version`` of a requirements file or a lock."""
    return {f"{name}=={version}" for name, version in re.findall(r"^([\w.-]+)(?:\[\w+\])?==([^\s\\]+)", text, re.M)}


def read(file: str) -> str:
    return (ROOT / file).read_text()


def for_the_server(file: str) -> str:
    """A requirements file without its part for the tests."""
    return read(file).partition("\n# For the tests only")[0]


def test_there_are_no_other_locks():
    assert {file.name for file in (ROOT / "locks").iterdir()} == {f"{lock}.txt" for lock in SOURCES}


@every_lock
def test_each_package_of_a_lock_has_hashes_and_the_common_version(lock):
    entries = re.split(r"\n(?=\S)", read(f"locks/{lock}.txt").strip())
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==[^\s;]+(?: ; [^\\\n]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry
    assert pins("\n".join(entries)) <= pins(read("constraints.txt"))


@every_lock
def test_a_lock_holds_what_it_is_made_from(lock):
    text = for_the_server if lock == "server" else read
    for source in SOURCES[lock]:
        assert pins(text(source)) <= pins(read(f"locks/{lock}.txt")), "run make lock"


def test_the_server_has_no_test_tool():
    tools = pins(read("tests/requirements.txt") + read("benchmarks/requirements.txt") + read("deploy/sbom.txt"))
    tools |= pins(read("requirements.txt")) - pins(for_the_server("requirements.txt"))
    assert {tool.split("==")[0] for tool in tools} >= {"pytest", "polars", "hypothesis", "ruff", "uv", "zizmor"}
    assert not tools & pins(read("locks/server.txt"))


def test_the_versions_alone_are_for_any_pip():
    assert "--hash" not in read("constraints.txt")  # pip before 26.1 refuses hashes after -c


def test_no_lock_says_where_a_package_comes_from():
    assert not [file for file in ["constraints.txt", *(f"locks/{lock}.txt" for lock in SOURCES)] if "://" in read(file)]


@pytest.mark.parametrize("file", INSTALLERS)
def test_packages_are_installed_by_hash_only(file):
    commands = read(file).replace("\\\n", " ")
    for options in re.findall(r"pip install (.*)", commands):
        assert "--require-hashes" in options, options
        assert all(name.startswith("locks/") for name in re.findall(r"-[rc] (\S+)", options)), options
