"""The watchdog and the timetable agree on when a window's run starts."""

from engage_timetable import EngageTimetable

from engage.campaigns.watchdog import DUE_AFTER


def test_the_watchdog_knows_when_a_scheduled_run_starts():
    assert EngageTimetable().grace == DUE_AFTER
