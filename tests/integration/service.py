"""The HTTP service for tests: inside the test's process, or as processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from structlog.testing import capture_logs

from engage.service import api_keys
from engage.service.app import create_app
from engage.service.connection_pool import pooled
from engage.service.context import Context
from engage.statuses import ApiScope
from engage.storage import connection, database_roles
from tests.integration.conftest import KEY, NOW, World
from tests.ports import free_port
from tests.waiting import until

HASH_KEY = "only for tests, of no use to anybody"
AT = "2024-03-01T12:00:00Z"
PROBLEM = "application/problem+json"
_names = count(1)


def session(customer_id: Any = 1, at: Any = AT, **more: Any) -> dict[str, Any]:
    return {"type": "session", "customer_id": customer_id, "occurred_at": at, **more}


def bought(amount: Any = "12.50", customer_id: Any = 1, at: Any = AT, **more: Any) -> dict[str, Any]:
    return {**session(customer_id, at), "type": "purchase", "amount": amount, "currency": "USD", **more}


def viewed(item_id: Any = "burger-17", customer_id: Any = 1, at: Any = AT, **more: Any) -> dict[str, Any]:
    return {**session(customer_id, at), "type": "viewed", "item_id": item_id, **more}


def refused(answer: httpx.Response, status: int = 422) -> str:
    """The detail of a problem."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    assert answer.json()["status"] == status
    return str(answer.json()["detail"])


def make_key(engine: sa.Engine, *scopes: str, rate: int = 0, **more: Any) -> str:
    with engine.begin() as conn:
        return api_keys.create(conn, "a test", scopes or ApiScope, rate, as_of=NOW, **more)


def counted(context: Context, name: str, label: str) -> dict[str, float]:
    """The count of each label of a metric."""
    samples = [sample for family in getattr(context.metrics, name).collect() for sample in family.samples]
    return {sample.labels[label]: sample.value for sample in samples if sample.name.endswith("_total")}


class Api:
    """A client of the service, with a key that has all scopes."""

    def __init__(self, http: Any, key: str) -> None:
        self.http, self.key = http, key

    def request(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"} | (more.pop("headers", None) or {})
        return self.http.request(method, path, headers=headers, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def answers(self, path: str) -> bool:
        """Whether the service is there and the path's answer is 200."""
        try:
            return bool(self.http.get(path).status_code == 200)
        except httpx.TransportError:
            return False

    def send(self, *events: Any, name: str | None = None, **more: Any) -> httpx.Response:
        """Send a batch, under a new name unless one is given."""
        name = name or f"batch-{next(_names)}"
        more["headers"] = {"Idempotency-Key": name, "Content-Type": "application/json"} | more.get("headers", {})
        more.setdefault("content", json.dumps({"events": events}))
        return self.request("POST", "/v1/events", **more)


class Inside(Api):
    """The service inside this process, on the world's database and by its clock."""

    def __init__(self, http: Any, key: str, world: World, context: Context, *, app: FastAPI, logs: list[Any]) -> None:
        super().__init__(http, key)
        self.world, self.context, self.app, self.logs = world, context, app, logs

    def counted(self, name: str, label: str) -> dict[str, float]:
        return counted(self.context, name, label)

    @contextmanager
    def together(self) -> Iterator[Callable[..., Future[httpx.Response]]]:
        """Send batches that are all written in one transaction at the end of the block."""
        waiting: list[Future[httpx.Response]] = []
        with ThreadPoolExecutor(50) as threads:

            def send(*events: Any, **more: Any) -> Future[httpx.Response]:
                waiting.append(threads.submit(self.send, *events, **more))
                return waiting[-1]

            with self.world.engine.begin() as conn:
                conn.execute(sa.text("LOCK TABLE intake_batch"))
                for writers in (1, 2):
                    threads.submit(self.send, session())
                    until(lambda writers=writers: self._blocked() == writers, "another writer waits")
                yield send
                until(
                    lambda: self._waiting() + sum(future.done() for future in waiting) == len(waiting),
                    "every batch waits or is answered",
                )

    def _blocked(self) -> int:
        return int(self.world.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    def _waiting(self) -> float:
        return self.context.metrics.waiting._value.get()


@contextmanager
def inside(world: World) -> Iterator[Inside]:
    limited = connection.connect(as_service(world.engine.url))
    context = Context(pooled(limited), lambda: world.now, KEY)
    app = create_app(context)
    running = app.router.lifespan_context(app)
    with capture_logs() as logs, start_blocking_portal() as portal, portal.wrap_async_context_manager(running):
        yield Inside(_Called(portal, app), make_key(world.engine), world, context, app=app, logs=logs)
    context.engine.dispose()


class _Called:
    """A client of an application in another thread, for any number of threads."""

    def __init__(self, portal: BlockingPortal, app: FastAPI) -> None:
        self._portal = portal
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.request, method, path, **more))


class Process(Api):
    """The service as ``engage serve``."""

    def __init__(self, url: str, key: str, log: Path) -> None:
        self.port = free_port()
        super().__init__(httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30), key)
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "engage", "serve", "--port", str(self.port)],
                env=os.environ | environment(url),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self) -> Process:
        until(lambda: self.process.poll() is not None or self.answers("/readyz"), "the service is ready")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextmanager
def processes(url: str, key: str, folder: Path) -> Iterator[Callable[..., Process]]:
    """Start services on one database. They end with the block."""
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(url, key, folder / f"service-{len(started)}.log"))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.close()


def as_service(url: str | sa.URL) -> sa.URL:
    """The URL for the service's own role, which can do no more than the service must."""
    return sa.make_url(url).set(username=database_roles.SERVICE)


def environment(url: str) -> dict[str, str]:
    """The variables of a service on a database."""
    return {
        "ENGAGE_DATABASE_URL": as_service(url).render_as_string(hide_password=False),
        "ENGAGE_HASH_KEY": HASH_KEY,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "COLUMNS": "200",
    }
