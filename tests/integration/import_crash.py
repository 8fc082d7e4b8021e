"""An import that is killed on the way, again and again: ``python import_crash.py URL KIND FILE``.

It imports everything once and then forks for each line that it reads: the statement after which the process kills
itself, by how it begins, and at which occurrence; or ``COMMIT``. It prints how that ended.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from engage.imports import customers, events, lines, staging
from engage.imports.rejected import RejectedRows
from engage.imports.report import Job, Options
from engage.storage import connection
from tests.integration.importing import ACTOR, AS_OF, KEY

lines.CHUNK_ROWS = 100


class Countdown:
    """Kills this process at the ``at``-th call."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def plant(engine: sa.Engine, boundary: str, countdown: Countdown) -> None:
    """Make this process die at a boundary."""
    if boundary == "COPY":
        copy = staging.copy_bytes
        staging.copy_bytes = lambda *arguments: (copy(*arguments), countdown())[0]
    elif boundary == "before COMMIT":
        sa.event.listen(engine, "commit", lambda conn: countdown())
    elif boundary == "after COMMIT":
        sa.event.listen(engine, "checkin", lambda *of: countdown())
    else:
        after = lambda *of: countdown() if of[2].startswith(boundary) else None  # noqa: E731
        sa.event.listen(engine, "after_cursor_execute", after)


def run(url: str, kind: str, file: str, processes: int, as_of: datetime) -> None:
    engine = connection.connect(url)
    plant(engine, *planted)
    job = Job(Options(processes=processes), as_of, RejectedRows(io.StringIO()), actor=ACTOR)
    with Path(file).open("rb") as stream:
        if kind == "customers":
            customers.apply(engine, stream, job, hash_key=KEY)
        else:
            events.apply(engine, stream, job, currency="USD")
    engine.dispose()


for text in sys.stdin:
    boundary, _, at = text.strip().rpartition(" ")
    planted = (boundary, Countdown(int(at)))
    child = os.fork()
    if not child:
        run(*sys.argv[1:4], processes=1, as_of=AS_OF)
        os._exit(0)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
    sys.stdout.flush()
