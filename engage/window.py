"""The 8-week grid of campaigns: pure arithmetic, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from engage import parsing
from engage.errors import InputError, WindowError

WEEKS = 8
LENGTH = timedelta(weeks=WEEKS)
ANCHOR = datetime(2025, 1, 6, tzinfo=UTC)
"""Start of the first window: a Monday, 00:00 UTC."""
GRACE = timedelta(hours=12)
"""A window's scheduled run starts this long after its end, so that late events can arrive."""


@dataclass(frozen=True, order=True)
class Window:
    """Eight weeks ``[start, end)`` in UTC; ``start`` is a whole number of windows after the anchor.

    Raises:
        WindowError: ``start`` is not on the grid.
    """

    start: datetime

    def __post_init__(self) -> None:
        start = as_utc(self.start)
        object.__setattr__(self, "start", start)
        offset = (start - ANCHOR) % LENGTH
        if offset:
            before, after = start - offset, start - offset + LENGTH
            raise WindowError(
                f"{start:%Y-%m-%d %H:%M:%S} UTC is not the start of a window. Windows are {WEEKS} weeks long, counted "
                f"from {ANCHOR:%Y-%m-%d}; the nearest starts are {before:%Y-%m-%d} and {after:%Y-%m-%d}."
            )

    @property
    def end(self) -> datetime:
        """First moment after the window."""
        return self.start + LENGTH

    @property
    def key(self) -> str:
        """The window's start as YYYYMMDD, for names of tables and references of messages. ``from_key`` reads it."""
        return f"{self.start:%Y%m%d}"

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"

    def next(self) -> Window:
        return Window(self.end)

    def previous(self) -> Window:
        return Window(self.start - LENGTH)

    @classmethod
    def from_key(cls, key: str) -> Window:
        """The window with this ``key``.

        Raises:
            WindowError: not eight digits, not a date, or not on the grid.
        """
        try:
            window = cls(datetime.strptime(key, "%Y%m%d").replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            window = None
        if window is None or window.key != key:  # strptime reads 2025116 too
            raise WindowError(f"{key[:40]!r} is not a window's key: its start as YYYYMMDD, such as 20250106.")
        return window

    @classmethod
    def containing(cls, moment: datetime) -> Window:
        """The window that holds ``moment``; ``moment`` may lie before the anchor."""
        moment = as_utc(moment)
        return cls(moment - (moment - ANCHOR) % LENGTH)

    @classmethod
    def last_complete(cls, as_of: datetime) -> Window:
        """The latest window that has ended by ``as_of``.

        Raises:
            WindowError: the first window is not over yet.
        """
        window = cls.containing(as_of).previous()
        if window.start < ANCHOR:
            raise WindowError(
                f"No window is complete at {as_utc(as_of):%Y-%m-%d %H:%M} UTC: the first one runs from "
                f"{ANCHOR:%Y-%m-%d} to {ANCHOR + LENGTH:%Y-%m-%d}."
            )
        return window

    @classmethod
    def named(cls, start: str | date, as_of: datetime) -> Window:
        """The complete window that starts on a given date, such as ``2026-02-02``.

        Raises:
            WindowError: not a date, not on the grid, before the anchor, or not complete at ``as_of``.
        """
        try:
            window = cls(_parse(start))
            if window.start < ANCHOR:
                raise WindowError(
                    f"{window.start:%Y-%m-%d} lies before the first window, which starts {ANCHOR:%Y-%m-%d}."
                )
            window.require_complete(as_of)
        except OverflowError:
            raise WindowError(f"{str(start)!r} is too far off to be the start of a window.") from None
        return window

    def require_complete(self, as_of: datetime) -> None:
        """Refuse a window that is still running.

        Raises:
            WindowError: the window has not ended by ``as_of``.
        """
        if self.end > as_utc(as_of):
            last = Window.last_complete(as_of)
            raise WindowError(
                f"The window {self} is not complete: it ends {self.end:%Y-%m-%d %H:%M} UTC and it is now "
                f"{as_utc(as_of):%Y-%m-%d %H:%M}. The last complete window starts {last.start:%Y-%m-%d}."
            )


def as_utc(moment: datetime) -> datetime:
    """``moment`` in UTC; a naive time is UTC already.

    The result is a plain datetime, because a subclass may bring arithmetic of its own.
    """
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, UTC)


def _parse(start: str | date) -> datetime:
    if isinstance(start, datetime):
        return as_utc(start)
    if isinstance(start, date):
        return datetime(start.year, start.month, start.day, tzinfo=UTC)
    for read in (parsing.day, parsing.instant):
        try:
            return read(start)
        except InputError:
            continue
    raise WindowError(f"{start[:40]!r} is not a date. Give a window's start as YYYY-MM-DD, such as 2025-01-06.")
