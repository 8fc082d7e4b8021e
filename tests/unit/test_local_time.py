"""A customer's clock: the zones of a phone, and times of day on days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from engage.texts.local_time import daily, zones

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("phone", "time_zone", "names"),
    [
        ("+12025550123", "Asia/Kolkata", ["Asia/Kolkata"]),
        ("+12025550123", None, ["America/New_York"]),
        ("+12025550123", "Mars/Olympus", ["America/New_York"]),
        ("+12025550123", "../../etc/passwd", ["America/New_York"]),
        ("+999000000001", None, []),
        ("nobody", None, []),
    ],
)
def test_where_a_phone_may_be(phone, time_zone, names):
    assert [zone.key for zone in zones(phone, time_zone)] == names


@pytest.mark.parametrize(
    ("day", "at", "utc"),
    [
        ("2026-03-07", time(8), "2026-03-07T13:00"),  # clocks go forward on the 8th at 2:00
        ("2026-03-08", time(8), "2026-03-08T12:00"),
        ("2026-03-08", time(2, 30), "2026-03-08T07:30"),  # no clock shows it
        ("2026-11-01", time(1, 30), "2026-11-01T05:30"),  # clocks show it twice
        ("2026-11-01", time(8), "2026-11-01T13:00"),
    ],
)
def test_a_time_of_day_when_clocks_change(day, at, utc):
    now = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=NEW_YORK)
    [_, found, tomorrow] = daily(NEW_YORK, at, now, 1)
    assert found == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert tomorrow > found
