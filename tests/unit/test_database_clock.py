"""One thread may read the database's clock while another one measures it."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from engage.storage import database_clock
from engage.storage.database_clock import DatabaseClock


class Database:
    """An engine whose only answer is the time."""

    now = datetime(2026, 11, 10, 12, tzinfo=UTC)

    @contextmanager
    def connect(self):
        yield SimpleNamespace(execute=lambda query: SimpleNamespace(scalar_one=lambda: self.now))


def test_a_time_read_while_another_thread_measures_does_not_jump_back(monkeypatch):
    steady, database = 1000.0, Database()
    monkeypatch.setattr(database_clock, "monotonic", lambda: steady)
    clock = DatabaseClock(database)
    steady, database.now = 1600.0, database.now + timedelta(minutes=10)
    measuring = False

    def measured_meanwhile():
        nonlocal measuring
        if not measuring:
            measuring = True
            clock.measure()
        return steady

    monkeypatch.setattr(database_clock, "monotonic", measured_meanwhile)
    assert clock() == database.now
    assert measuring
