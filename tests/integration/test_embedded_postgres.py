"""The embedded Postgres: it starts from any shell, leaves the folders above alone, and comes back when it is killed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from engage.errors import LocalError
from engage.local import embedded_postgres
from engage.local.home import CHECKOUT, Home
from engage.local.postgres_server import PostgresServer
from tests.shells import ODD_SHELL
from tests.waiting import until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: what root does. These tests run as another user.")


@pytest.fixture
def above():
    """A folder that every user may pass through, unlike pytest's own, with a name that a program could trip over."""
    with tempfile.TemporaryDirectory(prefix="Übung 1 ") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def engage(home, *arguments, **shell):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
    umask = shell.pop("umask", -1)
    return subprocess.run(
        [sys.executable, "-m", "engage", *arguments],
        cwd=CHECKOUT,
        env=environment | {"ENGAGE_HOME": str(home)} | shell,
        umask=umask,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.mark.deep
@pytest.mark.parametrize(
    ("umask", "closed"),
    [(0o000, False), (0o077, False), pytest.param(0o077, True, marks=as_root)],
)  # fmt: skip
def test_the_first_start_works_in_an_odd_shell_and_leaves_the_folders_above_as_they_are(above, umask, closed):
    before = "0o700" if closed else "0o755"
    above.chmod(int(before, 8))
    home = above / "made" / "home"
    done = engage(home, "db", "upgrade", umask=umask, **ODD_SHELL)
    assert (done.returncode, done.stderr) == (0, "")
    assert "The database is up to date." in done.stdout
    assert [mode(path) for path in (above, home.parent, home)] == [before, "0o755", "0o711"]
    assert {path.name: mode(path) for path in home.iterdir()} == {
        "airflow": "0o700", "logs": "0o700", "tmp": "0o700", "postgres": "0o700", "lock": "0o600",
    }  # fmt: skip
    assert PostgresServer(Home(home)).running() is None
    with embedded_postgres.engine(Home(home)) as engine, engine.connect() as conn:
        known = conn.execute(sa.text("SELECT datlocprovider, datlocale, datcollate FROM pg_database")).all()
        assert set(known) == {("b", "C.UTF-8", "C")}
        assert conn.scalar(sa.text("SELECT count(*) FROM customer")) == 0
        assert conn.scalar(sa.text("SHOW lc_messages")) == "C"


def test_data_of_another_version_is_a_sentence(above):
    home = Home(above / "home")
    home.make()
    (home.path / "postgres").mkdir()
    (home.path / "postgres" / "PG_VERSION").write_text("16\n")
    with (
        pytest.raises(LocalError, match="has the data of PostgreSQL 16, and this is PostgreSQL 18"),
        embedded_postgres.postgres(home),
    ):
        pass


def test_a_half_made_database_is_made_anew(above):
    """As a ``kill -9`` during the first start leaves it."""
    home = Home(above / "home")
    home.make()
    (home.path / "postgres.draft").mkdir()
    (home.path / "postgres.draft" / "PG_VERSION").write_text("18\n")
    with embedded_postgres.engine(home) as engine, engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT 1")) == 1
    assert not (home.path / "postgres.draft").exists()


@pytest.mark.deep
def test_a_killed_server_comes_back_by_itself_while_one_serves_and_as_soon_as_it_can(above):
    home = Home(above / "home")
    server = PostgresServer(home)
    broken = server.data / "postgresql.auto.conf"
    with embedded_postgres.engine(home, serving=True) as engine:
        with engine.begin() as conn:
            conn.execute(sa.text("CREATE TABLE kept AS SELECT 7 AS number"))
        for content in ("", "this is no setting"):  # the second keeps it from starting, as a full disk does
            broken.write_text(content)
            kill(server)
            if content:
                time.sleep(2)
                assert server.running() is None
                broken.write_text("")
            until(server.ready, "the server comes back", within=30)
            engine.dispose()
            with engine.connect() as conn:
                assert conn.scalar(sa.text("SELECT number FROM kept")) == 7
    assert server.running() is None


def test_a_server_that_was_asked_to_end_comes_back_although_a_client_stays(above):
    """SIGTERM makes Postgres wait for its clients, which the stack's processes are for ever."""
    home = Home(above / "home")
    server = PostgresServer(home)
    with embedded_postgres.engine(home, serving=True) as engine:
        staying = engine.connect()
        process = server.running()
        process.terminate()
        process.wait(20)
        until(server.ready, "the server comes back", within=30)
        staying.invalidate()
        staying.close()
        with engine.connect() as conn:
            assert conn.scalar(sa.text("SELECT 1")) == 1


def kill(server):
    process = server.running()
    children = process.children()
    process.kill()
    psutil.wait_procs([process, *children], timeout=10)


def test_what_a_server_says_when_it_cannot_start_is_in_the_error(above):
    home = Home(above / "home")
    with embedded_postgres.postgres(home):
        pass
    (home.path / "postgres" / "postgresql.auto.conf").write_text("this is no setting")
    with (
        pytest.raises(LocalError, match=r"(?s)did not start; its log is .*syntax error"),
        embedded_postgres.postgres(home),
    ):
        pass


@as_root
def test_programs_that_only_root_may_run_are_opened_to_the_servers_user(above, monkeypatch):
    from engage.local import postgres_user

    programs = above / "bin"
    programs.mkdir()
    (programs / "postgres").touch()
    (programs / "library").touch()
    programs.chmod(0o700)
    (programs / "postgres").chmod(0o700)
    (programs / "library").chmod(0o600)
    postgres_user.let_read(programs)
    assert [mode(path) for path in (programs, programs / "postgres", programs / "library")] == [
        "0o755",
        "0o755",
        "0o644",
    ]
    shutil.rmtree(programs)
