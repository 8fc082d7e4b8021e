"""What the caller's shell may decide about the local stack: next to nothing."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from engage.errors import LocalError
from engage.local.as_postgres_user import closed_place
from engage.local.base_environment import base_variables, proxy_variables, without_libpq_variables
from engage.local.embedded_postgres import owned
from engage.local.environment import environment
from engage.local.home import Home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: what root does. These tests run as another user.")


@pytest.fixture
def shell(monkeypatch):
    """The caller's variables, all of them the test's own."""

    def set_to(**variables):
        for name in os.environ:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_to


@pytest.fixture
def umask():
    """Sets the process's umask, which the test's end brings back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_an_odd_shell_gives_the_stack_the_same_variables_as_an_empty_one(shell, tmp_path):
    home = Home(tmp_path)
    shell()
    plain = environment(home, "/socket", {})
    shell(
        LANG="tr_TR.ISO-8859-9", LC_ALL="tr_TR", HOME="/nonexistent", TMPDIR="/nonexistent", TERM="dumb", TZ="nowhere",
        PATH="/nonexistent", PYTHONPATH="/nonexistent", PYTHONWARNINGS="error", PYTHONDONTWRITEBYTECODE="1",
        PGHOST="/nonexistent", PGOPTIONS="-c x=y", AIRFLOW__CORE__EXECUTOR="x", AIRFLOW_HOME="/x", USER="x",
        HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="socks5://127.0.0.1:9", XDG_CONFIG_HOME="/x", NETRC="/x",
        SQLALCHEMY_WARN_20="1", MALLOC_ARENA_MAX="1", no_proxy="x",
    )  # fmt: skip
    assert environment(home, "/socket", {}) == plain
    assert plain["HOME"].startswith(str(tmp_path))
    assert plain["TMPDIR"].startswith(str(tmp_path))


def test_what_is_meant_for_engage_and_for_its_connections_is_passed_on(shell):
    meant = {"ENGAGE_SMS_URL": "x", "SSL_CERT_FILE": "/certificates", "LD_LIBRARY_PATH": "/python"}
    shell(**meant)
    assert meant.items() <= base_variables().items()


@pytest.mark.parametrize(
    ("caller", "exceptions"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "127.0.0.1,localhost"),
        ({"https_proxy": "proxy:3128", "no_proxy": "corp,.a.com:80"}, "corp,.a.com:80,127.0.0.1,localhost"),
        ({"HTTPS_PROXY": "http://proxy/", "NO_PROXY": "[::1, ,fe80::1,https://x"}, "127.0.0.1,localhost"),
    ],
)  # fmt: skip
def test_the_proxy_for_https_is_passed_on_and_never_used_for_this_machine(shell, caller, exceptions):
    shell(**caller)
    found = proxy_variables()
    assert found["HTTPS_PROXY"] == found["https_proxy"] == (caller.get("HTTPS_PROXY") or caller["https_proxy"])
    assert found["NO_PROXY"] == found["no_proxy"] == exceptions


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "ftp://x", "", "http://", "a proxy"])
def test_a_proxy_that_airflows_http_client_fails_on_is_not_passed_on(shell, proxy):
    shell(HTTPS_PROXY=proxy, ALL_PROXY="socks5://127.0.0.1:9")
    assert proxy_variables() == {}


def test_libpq_does_not_see_the_callers_variables_inside_of_the_block(shell):
    shell(PGHOST="x", PGOPTIONS="y", HOME="/z")
    with without_libpq_variables():
        assert dict(os.environ) == {"HOME": "/z"}
    assert dict(os.environ) == {"PGHOST": "x", "PGOPTIONS": "y", "HOME": "/z"}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_umask_decides_no_folders_mode(umask, tmp_path, mask):
    tmp_path.chmod(0o750)
    home = Home(tmp_path / "above" / "home")
    umask(mask)
    home.make()
    home.secret("password")
    paths = {"..": tmp_path, ".": home.path, "above": home.path.parent} | {
        path.name: path for path in home.path.iterdir()
    }
    assert {name: oct(stat.S_IMODE(path.stat().st_mode)) for name, path in paths.items()} == {
        "..": "0o750", "above": "0o755", ".": "0o711", "airflow": "0o700", "logs": "0o700", "tmp": "0o700",
        "secrets.json": "0o600",
    }  # fmt: skip


def test_a_folder_that_is_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o700)
    Home(tmp_path).make()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match=r"The folder .*/file/home cannot be used: .*Set ENGAGE_HOME to a folder"):
        Home(tmp_path / "file" / "home").make()


def test_a_home_that_is_not_there_is_a_sentence(monkeypatch):
    monkeypatch.setenv("ENGAGE_HOME", "~no-such-user/engage")
    with pytest.raises(LocalError, match="Give the whole path"):
        Home.default()


@pytest.mark.parametrize("name", ["a,b", "a$HOME", "a%b", 'a"b', "a'b", "a\\b", "a\nb", "a\udcffb"])
def test_a_path_that_a_database_url_cannot_say_is_refused(tmp_path, name):
    with pytest.raises(LocalError, match="cannot live under a path with the character"), owned(Home(tmp_path / name)):
        pass


@as_root
@pytest.mark.parametrize("closed", ["a", "a/b", "a/b/c", None])
def test_the_uppermost_closed_folder_is_found(closed):
    with tempfile.TemporaryDirectory() as name:
        above = Path(name)
        above.chmod(0o755)
        folder = above / "a" / "b" / "c" / "data"
        folder.mkdir(parents=True)
        if closed:
            (above / closed).chmod(0o700)
        assert closed_place(folder, 65534, 65534) == (above / closed if closed else None)
    assert os.geteuid() == 0
