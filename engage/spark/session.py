"""A session on a server of Spark Connect, and its errors as sentences.

The client, ``pyspark``, is imported here and only when a session opens: it is an extra that most installations lack.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from engage.errors import SparkError
from engage.spark.attempt import Attempt
from engage.spark.definition import Definition

log = logging.getLogger(__name__)

OLDEST = (4, 0)
"""The first version of Spark whose sums raise an error where they would overflow. Sail says which one it follows."""
ANSWERS_WITHIN = 30.0
"""Seconds in which a server must take a connection, and again in which it must answer the first question."""
RETRIES = 5
"""How often the client repeats a call that gets no answer, within about 20 seconds. Its own 15 take ten minutes."""
_SETTINGS = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
_INSTALL = "pip install -r requirements-spark.txt -c constraints.txt"


class Session:
    """Runs queries, all with the attempt's tag. ``raw`` is the client's own session."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def table(self, query: str, values: dict[str, Any]) -> pa.Table:
        """The rows of a query."""
        return self.raw.sql(query, args=values).toArrow()


@contextmanager
def session(definition: Definition, attempt: Attempt) -> Iterator[Session]:
    """A session of the attempt's own. What earlier attempts left on the server is ended first.

    Raises:
        SparkError: the client is not installed, or the server is too old, or it refuses a query.
        ConnectionError: the server gives no answer. A retry may help.
    """
    with _as_sentences(definition):
        version = _answered(definition, attempt)
        raw = _opened(definition, attempt)
        try:
            _require_version(definition, version)
            for former in attempt.former():
                _end(definition, former)
            for name, value in _SETTINGS.items():
                raw.conf.set(name, value)
            yield Session(raw)
        finally:
            _close(raw, attempt)


@cache
def _client() -> Any:
    """What is used of the client."""
    with warnings.catch_warnings(), _named_main():
        warnings.simplefilter("ignore")  # it warns about a newer pandas, which nothing here uses
        import grpc  # noqa: PLC0415 - an extra
        from pyspark.errors import PySparkException  # noqa: PLC0415
        from pyspark.sql.connect.client import DefaultChannelBuilder  # noqa: PLC0415
        from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415
        from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc  # noqa: PLC0415
        from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415
    return SimpleNamespace(
        grpc=grpc,
        error=PySparkException,
        channel=DefaultChannelBuilder,
        stub=base_pb2_grpc.SparkConnectServiceStub,
        question=base_pb2.AnalyzePlanRequest,
        session=SparkSession,
        patience=DefaultPolicy(max_retries=RETRIES),
    )


@contextmanager
def _named_main() -> Iterator[None]:
    """Give the main module a file. Where it has none, as after ``python -c``, the client takes it for its own tests."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = "-c"
    try:
        yield
    finally:
        del main.__file__


def _opened(definition: Definition, attempt: Attempt) -> Any:
    raw = _client().session(connection=definition.url(attempt.session))
    raw.client.set_retry_policies([_client().patience])
    raw.addTag(attempt.tag)
    return raw


def _answered(definition: Definition, attempt: Attempt) -> str:
    """The version that the server says it has. The client itself would wait for many minutes, or for ever."""
    grpc = _client().grpc
    builder = _client().channel(definition.url(attempt.session))
    question = _client().question(
        session_id=attempt.session, user_context={"user_id": definition.user}, client_type="engage", spark_version={}
    )
    channel = builder.toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=ANSWERS_WITHIN)
        answer = _client().stub(channel).AnalyzePlan(question, metadata=builder.metadata(), timeout=ANSWERS_WITHIN)
    except grpc.FutureTimeoutError:
        raise _no_answer(definition, f"nothing took the connection within {ANSWERS_WITHIN:.0f} s") from None
    except grpc.RpcError as exc:
        if exc.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        why = f"it took the connection, and said nothing within {ANSWERS_WITHIN:.0f} s"
        raise _no_answer(definition, why) from None
    finally:
        channel.close()
    return str(answer.spark_version.version)


def _no_answer(definition: Definition, why: str) -> ConnectionError:
    return ConnectionError(
        f"The server of Spark at {definition.server} gives no answer: {why}. The task is retried. Check that Spark "
        "Connect runs there, and the host, port and use_ssl of the connection."
    )


def _require_version(definition: Definition, version: str) -> None:
    found = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if found < OLDEST:
        raise SparkError(
            f"The server of Spark at {definition.server} has the version {version}, and Engage needs "
            f"{'.'.join(map(str, OLDEST))} or later. Upgrade the server, or set engage_engine to postgres."
        )


def _end(definition: Definition, former: Attempt) -> None:
    """Interrupt the queries of an earlier attempt, and give its session back. Most have left none."""
    raw = _opened(definition, former)
    try:
        if ended := raw.interruptTag(former.tag):
            log.info("ended %s of attempt %s on Spark, whose task had been killed", len(ended), former.number)
    except _client().error as exc:  # the server has closed that session in order
        log.debug("attempt %s has no session on Spark any more: %s", former.number, exc)
    finally:
        _close(raw, former)


def _close(raw: Any, attempt: Attempt) -> None:
    """Leave nothing on the server: no query, no view, no session."""
    with suppress(Exception):  # the server may have gone
        raw.interruptTag(attempt.tag)
    with suppress(Exception):
        raw.client.release_session()
    with suppress(Exception):
        raw.client.close()


@contextmanager
def _as_sentences(definition: Definition) -> Iterator[None]:
    try:
        yield
    except ImportError as exc:
        raise SparkError(
            f"engage_engine is spark, and the client of Spark is not installed here ({exc}). Install it where the "
            f"tasks run: {_INSTALL}"
        ) from None
    except Exception as exc:
        if (found := _translated(definition, exc)) is None:
            raise
        raise found from exc


def _translated(definition: Definition, exc: Exception) -> Exception | None:
    """What an error of the client means; None for an error that is not the client's."""
    grpc = _client().grpc
    if isinstance(exc, grpc.RpcError):
        code = exc.code() if callable(getattr(exc, "code", None)) else None
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, None}:
            return _no_answer(definition, _first_line(exc))
    elif not isinstance(exc, _client().error):
        return None
    elif _UNANSWERED.search(str(exc)):
        return _no_answer(definition, _first_line(exc))
    return SparkError(f"The server of Spark at {definition.server} refuses the query: {_first_line(exc)}")


_UNANSWERED = re.compile(r"UNAVAILABLE|RETRIES_EXCEEDED|OPERATION_CANCELED|CANCELLED|SESSION_CLOSED")


def _first_line(exc: Exception) -> str:
    details = getattr(exc, "details", None)  # an error of gRPC, whose text has its class in the first line
    text = (str(details()) if callable(details) else str(exc)).strip() or type(exc).__name__
    return text.splitlines()[0][:300]
