"""A process that pulls and is killed on the way, again and again: ``python source_crash.py URL WAREHOUSE START NOW``.

It imports everything once and then forks for each number that it reads. The child dies by SIGKILL at the transaction of
that number: odd numbers just before a commit, even ones just after it. It prints how the child ended.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime

from engage.sources import pull, query
from engage.storage import connection
from engage.window import Window
from tests.integration.sources import Warehouse


def pull_and_die(at: int) -> None:
    url, warehouse, start, now = sys.argv[1:]
    query.CHUNK = 100
    engine = connection.connect(url)
    left = [at]

    def die() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    commit = engine.dialect.do_commit

    def committing(conn: object) -> None:
        die()
        commit(conn)  # type: ignore[arg-type]
        die()

    engine.dialect.do_commit = committing  # type: ignore[method-assign]
    window = Window(datetime.fromisoformat(start))
    pull(engine, window, Warehouse(warehouse).source(), as_of=datetime.fromisoformat(now))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            pull_and_die(int(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


main()
