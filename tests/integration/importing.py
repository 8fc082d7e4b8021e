"""Files of customers and events, and imports of them, for tests."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import CliRunner

from engage.cli import main
from engage.imports import customers, events
from engage.imports.rejected import RejectedRows
from engage.imports.report import Job, Options
from tests.integration.conftest import KEY

AS_OF = datetime(2026, 11, 10, 9, tzinfo=UTC)
ACTOR = "ada"


class Pipe(io.BytesIO):
    """A stream that cannot seek, as standard input may be."""

    def seekable(self):
        return False


class Importing:
    """Imports on the test's database. ``rejected`` is the text of the rows that the last one rejected."""

    def __init__(self, world):
        self.world = world
        self.rejected = ""

    def customers(self, content, *, apply=True, **options):
        work = customers.apply if apply else customers.check
        return self._run(work, content, options, hash_key=KEY)

    def events(self, content, *, apply=True, **options):
        return self._run(events.apply if apply else events.check, content, options, currency="USD")

    def _run(self, work, content, options, **more):
        content = content.encode() if isinstance(content, str) else content
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        written = io.StringIO()
        options = Options(**({"processes": 1} | options))
        report = work(self.world.engine, stream, Job(options, AS_OF, RejectedRows(written), actor=ACTOR), **more)
        self.rejected = written.getvalue()
        assert report.read == report.added + report.changed + report.unchanged + report.rejected
        assert sum(report.reasons.values()) == report.rejected == max(0, self.lines - 1)
        return report

    @property
    def lines(self):
        import csv

        return len(list(csv.reader(io.StringIO(self.rejected))))


def invoked(*arguments, stdin=None):
    """The exit code of ``engage import``, and what it prints; an error of Engage is raised."""
    done = CliRunner().invoke(main.app, ["import", *map(str, arguments)], input=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def written(folder: Path, content: bytes | str, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
