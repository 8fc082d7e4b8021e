"""A client of Spark that asks for what takes hours: ``python -m tests.integration.spark_client PORT NAME NUMBER``."""

from __future__ import annotations

import sys

from engage.spark import Attempt, Definition
from engage.spark.session import session
from tests.integration.spark_servers import HOST

SLOW = "SELECT count(*) AS n FROM range(3000000) a JOIN range(3000000) b ON a.id * 7 % 11 < b.id * 13 % 17"


def main(port: str, name: str, number: str, key: str) -> None:
    definition = Definition.of("engage_spark", host=HOST, port=int(port), extra={}, archive="file:///nowhere")
    with session(definition, Attempt(key.encode(), name, int(number))) as spark:
        sys.stdout.write("asks\n")
        sys.stdout.flush()
        spark.table(SLOW, {})


main(*sys.argv[1:])
