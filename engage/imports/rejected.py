"""The file of rejected rows: number, reason, and the original columns, so that it can be mended and loaded again."""

from __future__ import annotations

import csv
import filecmp
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from engage.imports.columns import REJECTED_REASON, REJECTED_ROW, plain
from engage.imports.encoding import shown
from engage.imports.rows import Rejected

_MODE = 0o600
"""The rows may hold phone numbers, so only the owner reads the file."""


class RejectedRows:
    """Writes rejected rows as CSV in UTF-8, to a path or an open text file. Without a rejected row it writes nothing.

    A file that stands at the path with other content, and may be half mended, is left: the new one gets a number.
    """

    def __init__(self, target: Path | IO[str]) -> None:
        self._target = target
        self._file: IO[str] | None = None if isinstance(target, Path) else target
        self._columns: list[str] = []
        self._kept: list[int] = []
        self._begun = False
        self.path: Path | None = None
        """The file, once it is complete."""

    def begin(self, columns: Sequence[str]) -> None:
        """Set the original columns; those of an earlier rejection are left out."""
        self._kept = [place for place, name in enumerate(columns) if plain(name) not in (REJECTED_ROW, REJECTED_REASON)]
        self._columns = [columns[place] for place in self._kept]

    def write(self, rows: Sequence[Rejected]) -> None:
        """Add rows."""
        if not rows:
            return
        file = self._file or self._open()
        writer = csv.writer(file)
        if not self._begun:
            writer.writerow([REJECTED_ROW, REJECTED_REASON, *map(shown, self._columns)])
            self._begun = True
        for row in rows:
            whole = row.fault.values is None
            original = [row.values[place] for place in self._kept] if whole else list(row.values)
            writer.writerow([row.row, row.fault.sentence, *map(shown, original)])

    def __enter__(self) -> RejectedRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(self._target, Path) or self._file is None:
            return
        self._file.close()
        if kind is None:
            self.path = _placed(self._partial, self._target)
        else:
            self._partial.unlink(missing_ok=True)

    def _open(self) -> IO[str]:
        assert isinstance(self._target, Path)
        handle = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
        self._file = os.fdopen(handle, "w", encoding="utf-8", newline="")
        return self._file

    @property
    def _partial(self) -> Path:
        assert isinstance(self._target, Path)
        return self._target.with_name(f"{self._target.name}.partial")


def _placed(partial: Path, target: Path) -> Path:
    """Move the complete file to its place, or to the next free one."""
    number = 1
    while True:
        place = target if number == 1 else target.with_name(f"{target.stem}-{number}{target.suffix}")
        if not place.exists() or filecmp.cmp(partial, place, shallow=False):
            return partial.replace(place)
        number += 1
