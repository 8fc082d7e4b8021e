"""A client of Spark that asks for what takes hours: ``python -m tests.integration.spark_client PORT NAME NUMBER``."""

from __future__ import annotations

import sys

from benchmarks.spark_servers import HOST
from engage.spark import Attempt, Definition
from engage.spark.session import session

SLOW = "SELECT max(id % 7) AS n FROM range(4000000000000)"


def main(port: str, name: str, number: str, key: str) -> None:
    definition = Definition.of("engage_spark", host=HOST, port=int(port), extra={}, archive="file:///nowhere")
    with session(definition, Attempt(key.encode(), name, int(number))) as spark:
        sys.stdout.write("asks\n")
        sys.stdout.flush()
        spark.table(SLOW, {})


main(*sys.argv[1:])
