"""The database's clock. It measures every age, so that two machines with different clocks agree on it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from time import monotonic

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from engage.clock import now

log = logging.getLogger(__name__)

TOLERATED = 60.0
"""Seconds by which this machine's clock may be off without a warning."""


class DatabaseClock:
    """Tells the database's time: asked once, and counted on from there by this machine's steady clock."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._known = monotonic(), now()
        """This machine's steady clock, and the time then: one value, as other threads read it during ``measure``."""
        self.off = 0.0
        """Seconds by which this machine's clock is ahead of the database's; below zero it is behind."""
        self.measure()

    def __call__(self) -> datetime:
        """The time now, in UTC."""
        asked, then = self._known
        return then + timedelta(seconds=monotonic() - asked)

    def measure(self) -> None:
        """Ask the database again. While it does not answer, the last answer counts, or else this machine's clock."""
        try:
            with self._engine.connect() as conn:
                then = conn.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        except SQLAlchemyError as exc:
            log.warning("The database's clock cannot be read (%s), so the one known before counts", type(exc).__name__)
            return
        before, self.off = self.off, (now() - then).total_seconds()
        self._known = monotonic(), then
        if abs(self.off) > TOLERATED >= abs(before):
            log.warning(
                "This machine's clock is %.0f seconds %s the database's, more than %.0f. Ages go by the database's "
                "clock. Set this machine's, with NTP for example.",
                abs(self.off), "ahead of" if self.off > 0 else "behind", TOLERATED,
            )  # fmt: skip
