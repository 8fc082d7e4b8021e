"""Servers of Spark Connect for benchmarks and tests: Sail, and Spark itself as a master with two workers.

Spark comes from the environment .venv-spark, which ``make test-spark`` makes, and needs Java.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from engage.local.home import CHECKOUT
from engage.local.sail import free_port, sail

WITHIN = 180
"""Seconds until a server is ready, however slow the machine is."""
HOST = "127.0.0.1"
_SETTINGS = {
    "spark.connect.grpc.binding.address": HOST,
    "spark.driver.bindAddress": HOST,
    "spark.driver.host": HOST,
    "spark.executor.memory": "700m",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
}


@contextmanager
def served(name: str, folder: Path) -> Iterator[int]:
    """The port of the server ``sail`` or ``spark``."""
    with sail(folder / "sail.log") if name == "sail" else standalone(folder) as port:
        yield port


@contextmanager
def standalone(folder: Path) -> Iterator[int]:
    """The port of Spark's Connect server, whose queries run on two workers of a master."""
    home = next(CHECKOUT.glob(".venv-spark/lib/python3*/site-packages/pyspark"))
    master, port = free_port(), free_port()
    with ExitStack() as running:

        def start(log: str, program: str, *arguments: str) -> None:
            running.enter_context(_process(home / "bin" / program, arguments, folder / log, folder))

        ui = ("--webui-port", "0")
        at_master = ("--host", HOST, "--port", str(master), *ui)
        start("master.log", "spark-class", "org.apache.spark.deploy.master.Master", *at_master)
        _wait(lambda: _listens(master), "Spark's master listens")
        for n in (1, 2):
            own = ("--host", HOST, "--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"worker{n}"), *ui)
            start(
                f"worker{n}.log",
                "spark-class",
                "org.apache.spark.deploy.worker.Worker",
                *own,
                f"spark://{HOST}:{master}",
            )
        for n in (1, 2):
            log = folder / f"worker{n}.log"
            _wait(lambda log=log: "Successfully registered with master" in log.read_text(), "a worker is registered")  # type: ignore[misc]
        settings = _SETTINGS | {"spark.connect.grpc.binding.port": str(port)}
        options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        server = ("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal")
        start("connect.log", "spark-submit", "--master", f"spark://{HOST}:{master}", *options, *server)
        _wait(lambda: _listens(port), "Spark Connect listens")
        yield port


@contextmanager
def _process(program: Path, arguments: tuple[str, ...], log: Path, folder: Path) -> Iterator[None]:
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    memory = "1g" if program.name == "spark-submit" else "256m"
    own = {"SPARK_LOCAL_IP": HOST, "SPARK_DAEMON_MEMORY": memory, "SPARK_LOCAL_DIRS": str(temporary)}
    assert shutil.which("java", path=environment["PATH"]), "Spark needs Java 17"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), *arguments], env=environment | own, cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {WITHIN} s: {what}")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def busy() -> bool:
    """Whether a server that this process has started is at work on a query."""
    servers = [one for one in psutil.Process().children(recursive=True) if _is_server(one)]
    before = sum(sum(one.cpu_times()[:2]) for one in servers)
    time.sleep(0.5)
    return sum(sum(one.cpu_times()[:2]) for one in servers) - before > 0.25


def _is_server(process: psutil.Process) -> bool:
    try:
        return any(word.endswith("/sail") or word.startswith("org.apache.spark") for word in process.cmdline())
    except psutil.Error:  # it has ended
        return False
