"""Acknowledged batches survive kills, stops and hangs, and each batch is stored once."""

import random
import re
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest
import sqlalchemy as sa

from engage.local import embedded_postgres
from engage.local.home import Home
from engage.service.connection_pool import pooled
from engage.service.health_checks import FRESH_SECONDS
from engage.storage import connection, database_roles, migrations
from tests.integration.conftest import NOW, World
from tests.integration.forked import forked
from tests.integration.service import PROBLEM, make_key, session, viewed
from tests.server_folder import server_folder
from tests.waiting import until

KILLS = 20
OUTAGE = 20.0


class Load:
    """Clients that send batch after batch, and repeat each under its key until the answer is 200."""

    def __init__(self, api, *, again=True):
        self.api, self.again = api, again
        self.acknowledged, self.refused = [], []
        self._ids = iter(range(1, 10**9))
        self._lock, self._ending = threading.Lock(), threading.Event()

    @contextmanager
    def running(self, clients=4):
        with ThreadPoolExecutor(clients) as threads:
            ended = [threads.submit(self._client) for _ in range(clients)]
            try:
                yield self
            except BaseException:
                self.again = False  # or the clients would wait for an answer for ever
                raise
            finally:
                self._ending.set()
        for future in ended:
            future.result()

    def more(self, number):
        """Wait until so many more batches are acknowledged."""
        wanted = len(self.acknowledged) + number
        until(lambda: len(self.acknowledged) >= wanted, f"{number} more batches are acknowledged")

    def _client(self):
        while not self._ending.is_set():
            with self._lock:
                id_ = next(self._ids)
            while not self._sent(id_):
                if not self.again:
                    return

    def _sent(self, id_):
        try:
            answer = self.api.send(session(id_), viewed("a", id_), name=f"load-{id_}")
        except httpx.TransportError:
            self._ending.wait(0.02)
            return False
        if answer.status_code == 200:
            self.acknowledged.append(id_)
            return True
        assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM), answer.text
        assert answer.headers["retry-after"] == "1"
        self.refused.append(id_)
        self._ending.wait(0.1)
        return False


def stored(world):
    """The number of stored events of each customer."""
    query = "SELECT customer_id FROM app_session UNION ALL SELECT customer_id FROM app_event"
    return Counter(customer_id for (customer_id,) in world.rows(query))


def test_whenever_the_service_is_killed_what_it_acknowledged_is_stored_once(fork, world):
    chance = random.Random(1)
    service = fork().ready()
    load = Load(service)
    with load.running():
        for _ in range(KILLS):
            load.more(chance.randint(1, 30))
            service.kill()
            service = fork(service.port).ready()
        load.more(1)
    assert stored(world) == dict.fromkeys(load.acknowledged, 2)
    assert len(load.acknowledged) == len(set(load.acknowledged)) > KILLS


def test_a_service_that_is_told_to_end_stores_what_it_has_acknowledged(serve, world):
    service = serve().ready()
    load = Load(service, again=False)
    with load.running(8):
        load.more(50)
        began = time.monotonic()
        assert service.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 10
    assert set(load.acknowledged) <= set(stored(world))
    assert set(stored(world).values()) == {2}
    assert "Traceback" not in service.log.read_text()


@pytest.fixture
def breakable(window):
    """A Postgres of the test's own that can be stopped and started, and a service on it."""
    with server_folder() as folder, ExitStack() as running:
        home = Home(folder)
        host = running.enter_context(embedded_postgres.postgres(home))
        embedded_postgres.create_databases(host)
        url = embedded_postgres.database_url(host, embedded_postgres.DATABASE)
        world = World(connection.connect(url), window)
        world.execute(sa.text(f"CREATE ROLE {database_roles.SERVICE} LOGIN"))
        migrations.upgrade(world.engine, NOW)
        with forked(url, make_key(world.engine), home.path) as start:
            yield start().ready(), world, running, home
        world.engine.dispose()


@pytest.mark.deep
def test_a_database_that_is_away_for_twenty_seconds_loses_nothing_and_needs_no_restart(breakable):
    service, world, running, home = breakable
    load = Load(service)
    with load.running():
        load.more(50)
        assert service.get("/readyz").status_code == 200
        ended = time.monotonic() + OUTAGE
        running.close()
        until(lambda: load.refused, "a batch is refused")
        # an answer holds for a second
        until(lambda: service.get("/readyz").status_code == 503, "the service is not ready")
        while time.monotonic() < ended:
            assert service.get("/healthz").status_code == 200
            answer = service.get("/readyz")
            assert (answer.status_code, answer.headers["retry-after"].isdecimal()) == (503, True)
            assert service.get("/v1/customers/1").status_code == 503
            time.sleep(0.2)
        running.enter_context(embedded_postgres.postgres(home))
        load.more(50)
        time.sleep(FRESH_SECONDS)
        assert service.get("/readyz").status_code == 200
    (unavailable,) = re.findall(r'engage_batches_total{outcome="unavailable"} (\S+)', service.get("/metrics").text)
    assert 0 < float(unavailable) <= len(load.refused)
    assert service.process.exitcode is None
    assert stored(world) == dict.fromkeys(load.acknowledged, 2)


@pytest.mark.deep
def test_a_database_that_hangs_keeps_nobody_waiting_and_what_is_sent_again_is_stored_once(fork, world):
    service = fork().ready()

    def sent(name):
        began = time.monotonic()
        answer = service.send(session(), name=name)
        return answer, time.monotonic() - began

    def asked():
        began = time.monotonic()
        return service.get("/v1/customers/1"), time.monotonic() - began

    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with ThreadPoolExecutor() as threads, world.engine.begin() as conn:
        conn.execute(sa.text("LOCK TABLE intake_batch, customer"))
        calls = [threads.submit(sent, "stopped"), threads.submit(asked)]
        until(lambda: len(world.rows(waiting)) == 2, "both requests wait")
        stopped = [psutil.Process(pid) for (pid,) in world.rows(waiting)]
        for backend in stopped:
            backend.suspend()
        try:
            calls += [threads.submit(sent, "waiting")]
            until(lambda: len(world.rows(waiting)) == 3, "the third request waits")
            assert service.get("/healthz").status_code == 200
            for call in calls:
                answer, seconds = call.result()
                assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
                assert answer.headers["retry-after"] == "1"
                assert seconds < 17
        finally:
            for backend in stopped:
                backend.resume()
    for name in ("stopped", "waiting"):
        until(lambda name=name: service.send(session(), name=name).status_code == 200, "the batch is taken")
    assert world.value("SELECT count(*) FROM app_session") == 2
    assert service.get("/v1/customers/1").status_code == 404


@pytest.mark.deep
def test_a_database_that_takes_connections_and_says_nothing_is_given_up_soon():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = pooled(sa.create_engine(f"postgresql+psycopg://nobody@127.0.0.1:{silent.getsockname()[1]}/x"))
        began = time.monotonic()
        with pytest.raises(sa.exc.OperationalError, match="timeout"):
            engine.connect()
        assert time.monotonic() - began < 10
        engine.dispose()
