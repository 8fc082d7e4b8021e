"""What an import found and did, for the terminal, a page and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from engage.imports.columns import Columns, Ignored
from engage.imports.rejected import RejectedRows
from engage.imports.rows import Parsed, Rejected, Source
from engage.imports.values import DecimalMark

FIRST_REJECTED = 10
Progress = Callable[[int], None]
"""Called with the number of rows read so far."""


@dataclass(frozen=True)
class Options:
    """What the operator says about a file."""

    mapping: tuple[str, ...] = ()
    """Texts such as ``Mobile=phone``."""
    country: str | None = None
    """The country of phones without a country's code."""
    event_type: str | None = None
    """The type of the events of a file without such a column."""
    decimal: DecimalMark | None = None
    owner: str | None = None
    """The owner of API keys whose events have the same ids."""
    processes: int = 2
    """Processes that read rows; 1 reads them in this process."""


@dataclass(frozen=True)
class Job:
    """One import of a file: what the operator says, the time, where rejected rows go, and who hears of progress."""

    options: Options
    as_of: datetime
    rejected: RejectedRows
    progress: Progress = lambda rows: None
    actor: str | None = None
    """The user whose import it is, for the consent record."""


@dataclass(frozen=True)
class FileForm:
    """The form of a file, as it was recognised, and which of its columns are which field."""

    format: str
    compression: str | None
    encoding: str | None
    delimiter: str | None
    decimal: str | None
    used: Mapping[str, str]
    """The column of each field."""
    ignored: tuple[Ignored, ...]


@dataclass(frozen=True)
class Report:
    """The counts of an import: ``read`` is the sum of ``added``, ``changed``, ``unchanged`` and ``rejected``."""

    kind: str
    """``customers`` or ``events``."""
    applied: bool
    """Whether it changed the database; a dry run has the counts of what it would do."""
    file: FileForm
    read: int
    added: int
    changed: int
    unchanged: int
    rejected: int
    reasons: Mapping[str, int]
    """Rejected rows by the code of their reason."""
    first_rejected: tuple[tuple[int, str], ...]
    """The first rejected rows: number and reason."""
    notes: Mapping[str, int]
    """Counts of rows that are right and worth a mention."""
    loaded_before: datetime | None = None
    """When the same file of events was loaded, so that it is not loaded again."""

    def to_json(self) -> dict[str, Any]:
        """The report as JSON data, but for its times, which are datetimes."""
        return asdict(self) | {
            "first_rejected": [{"row": row, "reason": reason} for row, reason in self.first_rejected],
        }


@dataclass
class Tally:
    """The counts while a file is read."""

    read: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    windows: set[int] = field(default_factory=set)
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, parsed: Parsed) -> None:
        """Count a chunk."""
        self.read += parsed.read
        self.rows += parsed.rows
        self.notes += parsed.notes
        self.windows |= parsed.windows
        self.reject(parsed.rejected)

    def reject(self, rows: list[Rejected]) -> None:
        """Count rejected rows."""
        self.reasons.update(row.fault.code for row in rows)
        self.first += [(row.row, row.fault.sentence) for row in rows[: FIRST_REJECTED - len(self.first)]]

    @property
    def rejected(self) -> int:
        """The number of rejected rows."""
        return self.reasons.total()


def form_of(source: Source, compression: str | None, columns: Columns, decimal: DecimalMark | None = None) -> FileForm:
    """The form of a file that has been read."""
    mark = decimal.value if decimal else None
    used = dict(columns.names)
    return FileForm(source.format, compression, source.encoding, source.delimiter, mark, used, columns.ignored)
