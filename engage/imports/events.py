"""Events from a file: what it would add, and the addition to the raw logs. A file is loaded once, by its content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import BinaryIO

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage import worker_processes
from engage.errors import InputError, UnfitDatabase
from engage.imports import event_write, staging
from engage.imports.columns import Columns, of_source, plain, require
from engage.imports.event_rows import FIELDS, PURCHASE, REFUND, SESSION, TYPES, EventRows
from engage.imports.reading import Hashed, opened
from engage.imports.report import FileForm, Job, Report, Tally, form_of
from engage.imports.rows import LOST, Chunk, Parsed, Source
from engage.imports.staging import STAGED_LOGS, STAGED_WITH_ID
from engage.imports.values import DecimalMark, decimal_mark
from engage.storage import partitions
from engage.storage.schema import FILE_KEY, api_key, intake_batch
from engage.window import ANCHOR, LENGTH, Window

OWNER = "import"
"""The owner of the idempotency keys of files."""
OWNER_OF_IDS = "file\n"
"""The owner of the event ids of files, unless the operator names one. No API key has an owner with a line end."""
_KNOWN = frozenset(plain(name) for field, synonyms in FIELDS.items() for name in (field, *synonyms))


def check(engine: sa.Engine, file: BinaryIO, job: Job, *, currency: str) -> Report:
    """What ``apply`` would do. It changes nothing.

    Raises:
        InputError: the file cannot be read, or its columns are not clear.
    """
    with engine.connect() as conn:  # never commits
        reading = _Reading(file, job, currency, _owner_of_ids(conn, job.options.owner))
        for staged in STAGED_WITH_ID:
            staged.create(conn)
        for parsed in reading.parsed():
            staging.copy(conn, parsed, STAGED_WITH_ID)
        return reading.report(_loaded_at(conn, reading.key), event_write.count_repeated(conn), applied=False)


def apply(engine: sa.Engine, file: BinaryIO, job: Job, *, currency: str) -> Report:
    """Add the events of a file to the raw logs, all that are right or none, unless the file was loaded before.

    Raises:
        InputError: as of ``check``.
    """
    repeated = 0
    with engine.begin() as conn:
        reading = _Reading(file, job, currency, _owner_of_ids(conn, job.options.owner))
        for staged in (*STAGED_LOGS, *STAGED_WITH_ID):
            staged.create(conn)
        for parsed in reading.parsed():
            staging.copy(conn, parsed)
        loaded_at = _loaded_at(conn, reading.key)
        if loaded_at is None:
            _ensure_windows(engine, _windows(reading.tally.windows, job.as_of))
            loaded_at = _claim(conn, reading, job.as_of)
        if loaded_at is None:
            repeated = event_write.write(conn, job.as_of)
    return reading.report(loaded_at, repeated, applied=True)


class _Reading:
    """One pass over a file."""

    def __init__(self, file: BinaryIO, job: Job, currency: str, owner: str) -> None:
        self._file, self._job, self._options = file, job, job.options
        self._currency, self._owner = currency, owner
        self.tally = Tally()
        self.digest = b""
        self._form: FileForm | None = None

    @property
    def key(self) -> str:
        """The idempotency key of the file: its content, and the type that its events are given."""
        return f"{FILE_KEY}{self._options.event_type or 'events'} {self.digest.hex()}"

    def parsed(self) -> Iterator[Parsed]:
        """What each chunk comes to; the rejected rows are written."""
        with opened(Hashed(self._file), _KNOWN) as (source, compression, content):
            columns = of_source(source, FIELDS, self._options.mapping)
            self._require(source, columns)
            self._job.rejected.begin(source.columns)
            read, chunks = self._reader(source, columns)
            for parsed in worker_processes.done(read, chunks, self._options.processes, lost=LOST):
                self._job.rejected.write(parsed.rejected)
                self.tally.add(parsed)
                self._job.progress(self.tally.read)
                yield parsed
            self.digest = content.digest()
            self._form = form_of(source, compression, columns, read.mark)

    def report(self, loaded_at: datetime | None, repeated: int, *, applied: bool) -> Report:
        """The counts, with the number of ``repeated`` events. A file that was loaded before changes nothing."""
        assert self._form
        right = self.tally.read - self.tally.rejected
        unchanged = repeated if loaded_at is None else right
        notes = {f"{name.removeprefix('import_')}s": count for name, count in self.tally.rows.items()}
        if loaded_at is None:
            notes["repeated_events"] = repeated
        return Report(
            "events", applied, self._form, self.tally.read, right - unchanged, 0, unchanged, self.tally.rejected,
            dict(self.tally.reasons.most_common()), tuple(sorted(self.tally.first)), notes, loaded_at,
        )  # fmt: skip

    def _require(self, source: Source, columns: Columns) -> None:
        only = self._options.event_type
        if only is not None and only not in TYPES:
            raise InputError(f"--type is {only[:40]!r}; it takes one of {', '.join(TYPES)}.")
        for field, what in (("customer_id", "the customer's id"), ("occurred_at", "the time of the event")):
            require(columns, source.columns, field, what)
        if only is None and "type" not in columns.places:
            raise InputError(
                f"No column is the type of the events: {', '.join(TYPES)}. If all events of the file have one type, "
                f"name it with --type {PURCHASE}."
            )
        if only in (PURCHASE, REFUND) and "amount_minor" not in columns.places:
            require(columns, source.columns, "amount", f"the amount of the {only}s")
        if only not in (None, PURCHASE, REFUND, SESSION):
            require(columns, source.columns, "item_id", "the item")

    def _reader(self, source: Source, columns: Columns) -> tuple[EventRows, Iterable[Chunk]]:
        """How to read a row. The first chunk shows the decimal mark of the amounts."""
        chunks = iter(source.chunks())
        options = self._options
        read = EventRows(columns, options.event_type, options.decimal, self._currency, self._owner, self._job.as_of)
        first = next(chunks, None)
        if first is None:
            return read, ()
        if read.mark is None:
            read = replace(read, mark=self._mark(read, first, columns))
        return read, chain([first], chunks)

    def _mark(self, read: EventRows, first: Chunk, columns: Columns) -> DecimalMark | None:
        try:
            return decimal_mark(read.amounts(first))
        except InputError as exc:
            raise InputError(f"The column {columns.names['amount'][:40]!r} {exc}") from None


def _owner_of_ids(conn: sa.Connection, owner: str | None) -> str:
    """The owner of the event ids of a file.

    Raises:
        InputError: no API key has this owner.
    """
    if owner is None:
        return OWNER_OF_IDS
    owners = conn.execute(sa.select(api_key.c.owner).distinct().order_by(api_key.c.owner)).scalars().all()
    if owner not in owners:
        known = f"The owners are {', '.join(owners)[:400]}." if owners else "There is no API key."
        raise InputError(f"--owner is {owner[:40]!r}; it takes the owner of an API key. {known}")
    return owner


def _ensure_windows(engine: sa.Engine, windows: list[Window]) -> None:
    """Make missing partitions. A role that makes none leaves the events in DEFAULT, where they count as well."""
    try:
        partitions.ensure_windows(engine, windows)
    except UnfitDatabase:
        return


def _windows(numbers: Iterable[int], as_of: datetime) -> list[Window]:
    """The windows from the first on, so that a campaign finds their events in a partition of its own."""
    starts = (ANCHOR + number * LENGTH for number in sorted(numbers) if number >= 0)
    return [Window(start) for start in starts if start <= as_of + LENGTH]


def _loaded_at(conn: sa.Connection, key: str) -> datetime | None:
    """When a file was loaded."""
    same = sa.and_(intake_batch.c.owner == OWNER, intake_batch.c.idempotency_key == key)
    found: datetime | None = conn.execute(sa.select(intake_batch.c.accepted_at).where(same)).scalar_one_or_none()
    return found


def _claim(conn: sa.Connection, reading: _Reading, as_of: datetime) -> datetime | None:
    """Record the file; returns when another process loaded it in between, or None."""
    tally = reading.tally
    row = {
        "owner": OWNER,
        "idempotency_key": reading.key,
        "fingerprint": reading.digest,
        "accepted_at": as_of,
        "answer": {"accepted": tally.read - tally.rejected, "rejected": tally.rejected},
    }
    new = insert(intake_batch).values(row).on_conflict_do_nothing().returning(intake_batch.c.owner)
    return None if conn.execute(new).one_or_none() else _loaded_at(conn, reading.key)
