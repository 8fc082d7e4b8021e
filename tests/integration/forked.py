"""Services that start fast, for tests that kill many: forks of a process that has imported everything."""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.integration.service import Api, environment
from tests.ports import free_port
from tests.waiting import until

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__, "engage.cli.main", "engage.service.app", "engage.service.server"])


class Forked(Api):
    """One service, with other values for some constants such as ``engage.service.request_body.BODY_SECONDS``."""

    def __init__(self, url: str, key: str, log: Path, port: int | None, constants: Mapping[str, Any]) -> None:
        self.port = port or free_port()
        self.log = log
        super().__init__(httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30), key)
        self.process = _forks.Process(target=_serve, args=(self.port, environment(url), str(log), dict(constants)))
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid
        return self.process.pid

    def ready(self) -> Forked:
        until(lambda: self.process.exitcode is not None or self.answers("/healthz"), "the service answers")
        assert self.process.exitcode is None, self.log.read_text()
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def close(self) -> None:
        self.kill()
        self.process.close()
        self.http.close()


@contextmanager
def forked(url: str, key: str, folder: Path) -> Iterator[Callable[..., Forked]]:
    """Start services on one database. They end with the block."""
    started: list[Forked] = []

    def start(port: int | None = None, **constants: Any) -> Forked:
        named = {name.replace("__", "."): value for name, value in constants.items()}
        started.append(Forked(url, key, folder / "forked.log", port, named))
        return started[-1]

    try:
        yield start
    finally:
        for service in started:
            service.close()


def _serve(port: int, variables: dict[str, str], log: str, constants: dict[str, Any]) -> None:
    from engage.cli import serve

    os.environ.update(variables)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    for name, value in constants.items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(f"engage.service.{module}"), constant, value)
    serve.serve("127.0.0.1", port)
