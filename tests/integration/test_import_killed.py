"""An import that is killed changes all or nothing, and run again ends in the same tables."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from engage.customers import consent_record, consent_verification, profile, suppression
from engage.customers.profile import Profile
from engage.statuses import SuppressionReason
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.integration.importing import AS_OF, Importing, written

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS = "id,name,phone,consent at,consent source\n" + "".join(
    f"{n},Name {n},+447400{123000 + n},2026-11-01,till\n" for n in range(1, 501)
)
EVENTS = "type,customer_id,occurred_at,amount,item_id,event_id\n" + "".join(
    f"session,{n},2026-09-20,,,\npurchase,{n},2025-09-20,{n}.50,,\nliked,{n},2026-09-21,,pie,{n % 150}\n"
    for n in range(1, 201)
)
KINDS = {
    "customers": (
        CUSTOMERS, ("customer", "suppression"),
        ["COPY 1", "COPY 3", "COPY 5", "ANALYZE 1", "LOCK 1", "WITH repeated 1",
         "DELETE FROM import 1",
         "DELETE FROM suppression 1", "UPDATE customer 2", "INSERT INTO import_consent 1",
         "INSERT INTO import_consent 2", "INSERT INTO customer 1", "SELECT consent_chain 1",
         "INSERT INTO consent_event 1", "UPDATE consent_chain 1",
         "before COMMIT 1", "after COMMIT 1"],
    ),
    "events": (
        EVENTS, ("app_session", "purchase", "app_event", "intake_batch", "event_id"),
        ["COPY 1", "COPY 9", "COPY 18", "COPY 4", "COPY 12", "SELECT intake_batch 1",
         "before COMMIT 1", "before COMMIT 2", "INSERT INTO intake_batch 1",
         "INSERT INTO app_session 1", "INSERT INTO purchase 1", "WITH given 1", "INSERT INTO app_event 2",
         "after COMMIT 2"],
    ),
}  # fmt: skip


def past(world):
    """Customers of whom some have opted out and consent again, and a phone with a revocation."""
    with world.engine.begin() as conn:
        for customer_id in range(1, 300, 3):
            given = Profile("Before", f"+447400{123000 + customer_id}")
            profile.put(conn, customer_id, given, hash_key=KEY, as_of=AS_OF - timedelta(days=40))
        for customer_id in range(1, 100, 9):
            profile.opt_out(conn, customer_id, as_of=AS_OF - timedelta(days=30))
        hashed = phone_hash("+447400123002", KEY)
        earlier = AS_OF - timedelta(days=30)
        changes = suppression.suppress(conn, hashed, reason=SuppressionReason.REVOCATION, source="text", as_of=earlier)
        consent_record.append(conn, changes, as_of=earlier)


def empty(world):
    """Delete all rows, also those of the consent record, whose triggers would refuse that."""
    tables = ", ".join((*KINDS["customers"][1], *KINDS["events"][1], "consent_event"))
    with world.engine.begin() as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        conn.exec_driver_sql(f"TRUNCATE {tables}")
        conn.exec_driver_sql("UPDATE consent_chain SET length = 0, last_hash = ''")


def kept(world, tables):
    """The rows of the tables, and those of the consent record without what differs by chance."""
    record = (
        "SELECT chain, number, customer_id, phone_hash, state, source, actor, evidence, happened_at FROM consent_event"
    )
    return world.dump(*tables) | {"record": sorted(map(repr, world.rows(record)))}


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_import_that_is_run_again_ends_in_the_same_tables(kind, world, url, tmp_path):
    content, tables, moments = KINDS[kind]
    path = written(tmp_path, content)
    past(world)
    before = kept(world, tables)
    getattr(Importing(world), kind)(content)
    complete = kept(world, tables)
    assert complete != before
    command = [sys.executable, str(ROOT / "tests/integration/import_crash.py"), url, kind, str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as forks:
        for moment in moments:
            empty(world)
            past(world)
            forks.stdin.write(f"{moment}\n")
            forks.stdin.flush()
            assert forks.stdout.readline() == f"{-signal.SIGKILL}\n", moment
            _wait_for_its_session(world)
            assert kept(world, tables) == (complete if moment.startswith("after") else before), moment
            report = getattr(Importing(world), kind)(content)
            assert report.rejected == 0
            assert kept(world, tables) == complete, moment
        assert consent_verification.verify(world.engine).misfits == []
        forks.stdin.close()


def test_the_processes_that_read_end_with_an_import_that_is_killed(url, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    environment = os.environ | {"ENGAGE_DATABASE_URL": url, "ENGAGE_HASH_KEY": "k" * 40, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "engage", "import", "customers", str(path)]
    with subprocess.Popen(command, env=environment) as process, path.open("wb") as pipe:
        pipe.write(b"id\n" + b"".join(b"%d\n" % n for n in range(1, 100_000)))
        pipe.flush()
        readers = _wait_until(lambda: len(found := psutil.Process(process.pid).children()) == 2 and found)
        process.kill()
        process.wait()
        _wait_until(lambda: not any(reader.is_running() for reader in readers))


def _wait_for_its_session(world):
    """Until the server has noticed that the process is gone, and rolled back."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND state <> 'idle'"
    )
    _wait_until(lambda: world.value(others) == 0)


def _wait_until(fact):
    deadline = time.monotonic() + 30
    while not (found := fact()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found
