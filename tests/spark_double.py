"""Servers on 127.0.0.1 that a client of Spark Connect may meet in place of a good one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from threading import Event
from typing import Any

from engage.spark.session import _client


@contextmanager
def of_version(version: str) -> Iterator[int]:
    """The port of a server that says it has this version, and does nothing else."""
    with _server(
        lambda answer, request: answer(session_id=request.session_id, spark_version={"version": version})
    ) as port:
        yield port


@contextmanager
def without_words() -> Iterator[int]:
    """The port of a server that speaks the protocol and lets every question wait."""
    over = Event()
    with _server(lambda answer, request: over.wait() and answer()) as port:
        try:
            yield port
        finally:
            over.set()


@contextmanager
def mute() -> Iterator[int]:
    """A port where connections are taken, and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@contextmanager
def _server(analyzed: Any) -> Iterator[int]:
    grpc = _client().grpc
    from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc

    class Service(base_pb2_grpc.SparkConnectServiceServicer):  # type: ignore[misc]
        def AnalyzePlan(self, request: Any, context: Any) -> Any:
            return analyzed(base_pb2.AnalyzePlanResponse, request)

    with futures.ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        base_pb2_grpc.add_SparkConnectServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()
