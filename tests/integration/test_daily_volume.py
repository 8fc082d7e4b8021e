"""The events of each day: what is counted, when, and for how long it is kept."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import daily_volume, valid_events
from engage.statuses import DaySource
from engage.storage import partitions
from engage.storage.schema import app_session
from tests.integration.days import WEEK, before, fill

BY_DAY = """SELECT started_at::date, 'sessions', count(*) FROM app_session WHERE customer_id IS NOT NULL GROUP BY 1
    UNION ALL SELECT purchased_at::date, 'purchases', count(*) FROM purchase
    WHERE customer_id IS NOT NULL AND amount_cents >= 0 GROUP BY 1 ORDER BY 1, 2"""
KEPT = "SELECT day, source, events FROM daily_volume {} ORDER BY day, source"


@pytest.fixture
def filled(world):
    """Two windows with events, after two without."""
    for _ in range(4):
        world.customer(registered_at=world.window.start - timedelta(days=400))
    fill(world, world.window.previous())
    fill(world, world.window, {date(2026, 9, 22): 0})
    return world


def kept(world, condition=""):
    return world.rows(KEPT.format(condition))


def test_each_day_has_its_valid_events_and_an_empty_one_has_none(filled):
    at = filled.window.start + timedelta(days=3)
    filled.sessions(None, 5, at=at)
    filled.purchase(1, -1, at=at)
    filled.purchase(None, 1, at=at)
    filled.sessions(1, at=filled.window.end)  # of the next window
    filled.sessions(1, at=filled.window.end - timedelta(microseconds=1))
    filled.extract()
    assert [row for row in kept(filled) if row[2]] == [row for row in filled.rows(BY_DAY) if row[0].year < 2027][:-1]
    assert [row for row in kept(filled) if not row[2]] == [(date(2026, 9, 22), source, 0) for source in
                                                           ("purchases", "sessions")]  # fmt: skip
    assert len(kept(filled)) == 2 * 56 * 2


def test_the_days_add_up_to_the_campaigns_events(filled):
    found = filled.extract().events
    rows = filled.rows("SELECT source, sum(events) FROM daily_volume WHERE day >= '2026-09-14' GROUP BY source")
    assert dict(rows) == found


def test_a_second_run_replaces_the_days_and_a_frozen_campaign_keeps_them(filled):
    filled.computed()
    once = kept(filled)
    filled.computed()
    assert kept(filled) == once
    filled.sessions(1, 7, at=filled.window.start)
    filled.computed()
    assert sum(row[2] for row in kept(filled)) == sum(row[2] for row in once) + 7
    filled.message()
    again = kept(filled)
    filled.sessions(1, 7, at=filled.window.start)
    filled.extract()
    assert kept(filled) == again


def test_the_first_run_counts_the_windows_before_it_as_their_own_runs_would(filled, in_window):
    filled.extract()
    together = kept(filled)
    filled.execute(sa.text("DELETE FROM daily_volume"))
    in_window(filled.window.previous()).extract()
    filled.extract()
    assert kept(filled) == together


def test_windows_before_a_gap_or_without_any_event_are_not_counted(world):
    world.customer(registered_at=world.window.start - timedelta(days=400))
    gap = before(world.window, 2)
    fill(world, gap[0], customers=1)
    fill(world, world.window, customers=1)
    world.extract()
    assert len(kept(world)) == 2 * 56  # the window before has no partition
    partitions.ensure_windows(world.engine, [gap[1]])
    world.extract()
    assert {row[0] for row in kept(world)} == {
        window.start.date() + timedelta(days=n) for window in (gap[0], world.window) for n in range(56)
    }
    with world.engine.connect() as conn:
        found = daily_volume.of(conn, world.window)
    assert (found.history, len(found.days)) == (0, 56)


def test_what_an_earlier_run_counted_is_not_counted_again(filled, in_window):
    in_window(filled.window.previous()).extract()
    once = kept(filled)
    filled.sessions(1, 7, at=filled.window.previous().start)
    filled.extract()
    assert kept(filled, "WHERE day < '2026-09-14'") == once


def test_the_days_outlive_the_events(filled):
    filled.computed()
    once = kept(filled)
    with filled.engine.begin() as conn:
        for table in ("app_session", "purchase"):
            conn.exec_driver_sql(f"DROP TABLE {table}_{filled.window.key}")
    assert kept(filled) == once


def test_without_counts_of_the_window_there_are_none(world):
    with world.engine.connect() as conn:
        assert daily_volume.of(conn, world.window) is None


# --- a large window


@pytest.fixture
def large(world, monkeypatch):
    """A window with more events than are put in days, of 60 customers in all of the pieces."""
    monkeypatch.setattr(daily_volume, "COUNTED", 1_000)
    for _ in range(60):
        world.customer(registered_at=world.window.start - timedelta(days=400))
    fill(world, world.window, customers=60)
    return world


SESSIONS = "SELECT day, events, one_in FROM daily_volume WHERE source = 'sessions' ORDER BY day"


def test_the_days_of_a_large_window_are_those_of_a_part_of_the_customers_scaled_up(large):
    total = large.extract().events["sessions"]
    rows = large.rows(SESSIONS)
    assert {one_in for *_, one_in in rows} == {4}  # the largest power of 2 with 1,000 events or more
    assert sum(events for _, events, _ in rows) == pytest.approx(total, rel=0.01)
    exact = [WEEK[n % 7] for n in range(56)]
    assert [events for _, events, _ in rows] != exact
    assert [events for _, events, _ in rows] == pytest.approx(exact, rel=0.7)
    large.extract()
    assert large.rows(SESSIONS) == rows


@pytest.mark.parametrize("one_in", [1, 2, 8, 32, 64, 128])
def test_one_in_so_many_customers_is_about_that_part_of_the_events(world, one_in):
    sessions = sa.text("INSERT INTO app_session SELECT n, :at FROM generate_series(1, 20000) AS n")
    world.execute(sessions, {"at": world.window.start})
    with world.engine.connect() as conn:
        [(_, found)] = conn.execute(valid_events.by_day(app_session, world.window, one_in=one_in)).all()
    assert found == pytest.approx(20_000 / one_in, rel=0.25)


def test_a_window_just_too_small_for_a_part_is_counted_in_full(world, monkeypatch):
    fill(world, world.window, customers=3)
    world.customer()
    total = world.extract().events["sessions"]
    for counted, one_in in ((total // 2 + 1, 1), (total // 2, 2)):
        monkeypatch.setattr(daily_volume, "COUNTED", counted)
        world.extract()
        assert {row[2] for row in world.rows(SESSIONS)} == {one_in}


def test_days_that_are_counted_again_are_exact(large):
    large.extract()
    days = [date(2026, 9, 22), date(2026, 9, 26)]
    with large.engine.begin() as conn:
        daily_volume.count_again(conn, large.window, DaySource.SESSIONS, days)
    rows = [row for row in large.rows(SESSIONS) if row[2] == 1]
    assert rows == [(days[0], WEEK[1], 1), (days[1], WEEK[5], 1)]


def test_if_the_counted_part_is_empty_all_is_counted(world, monkeypatch):
    monkeypatch.setattr(daily_volume, "COUNTED", 100)
    world.customer(registered_at=world.window.start - timedelta(days=400))
    fill(world, world.window, customers=1)  # all in one piece, and not in the last ones
    world.extract()
    assert world.value("SELECT max(one_in) FROM daily_volume") == 1


def test_two_runs_that_count_the_same_days_do_not_hurt_each_other(filled):
    previous = filled.window.previous()
    with filled.engine.begin() as one:
        daily_volume.keep(one, previous, {"sessions": 1, "purchases": 1})
        with filled.engine.begin() as other:
            other.execute(sa.text("SET LOCAL lock_timeout = '200ms'"))
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                daily_volume.keep(other, filled.window, {"sessions": 1, "purchases": 1})
            other.rollback()
    assert len(kept(filled)) == 56 * 2
