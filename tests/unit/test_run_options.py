from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engage.campaigns.run_options import RunOptions
from engage.sending.ledger import MessageSummary
from engage.settings import Settings
from engage.window import Window

WINDOW = Window(datetime(2026, 2, 2, tzinfo=UTC))
MICROSECOND = timedelta(microseconds=1)


def days_after_the_end(days: float) -> datetime:
    return WINDOW.end + timedelta(days=days)


@pytest.mark.parametrize("days", [0, 1, 7, 30, 3650])
def test_a_window_is_not_late_up_to_exactly_the_allowed_days(days):
    settings = Settings(send_within_days=days)
    assert RunOptions().skip_reason(WINDOW, settings, days_after_the_end(days)) is None


@pytest.mark.parametrize("days", [0, 1, 7, 30, 3650])
def test_a_window_is_late_one_microsecond_after_the_allowed_days(days):
    settings = Settings(send_within_days=days)
    assert RunOptions().skip_reason(WINDOW, settings, days_after_the_end(days) + MICROSECOND) == "too_late"


def test_by_default_a_window_may_be_texted_about_for_a_week():
    assert RunOptions().skip_reason(WINDOW, Settings(), days_after_the_end(6.9)) is None
    assert RunOptions().skip_reason(WINDOW, Settings(), days_after_the_end(7.1)) == "too_late"


@pytest.mark.parametrize("days", [0, 7.1, 4000])
def test_send_late_texts_however_long_ago_the_window_ended(days):
    assert RunOptions(send_late=True).skip_reason(WINDOW, Settings(), days_after_the_end(days)) is None


@pytest.mark.parametrize("send_late", [False, True])
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("days", [0, 1, 4000])
def test_a_backfill_texts_nobody_whatever_it_asks_for(send_late, dry_run, days):
    options = RunOptions(backfill=True, send_late=send_late, dry_run=dry_run)
    assert options.skip_reason(WINDOW, Settings(send_within_days=3650), days_after_the_end(days)) == "backfill"


def test_a_dry_run_is_held_for_the_reasons_that_a_run_would_be():
    assert RunOptions(dry_run=True).skip_reason(WINDOW, Settings(), days_after_the_end(1)) is None
    assert RunOptions(dry_run=True).skip_reason(WINDOW, Settings(), days_after_the_end(8)) == "too_late"


@pytest.mark.parametrize(
    ("by_status", "unsettled"),
    [
        ({}, 0),
        ({"accepted": 5, "unknown": 2, "skipped": 3}, 0),
        ({"queued": 4, "accepted": 5}, 4),
        ({"sending": 1, "unknown": 9}, 1),
        ({"queued": 4, "sending": 1}, 5),
    ],
)
def test_queued_and_sending_messages_are_the_unsettled_ones(by_status, unsettled):
    assert MessageSummary(by_status).unsettled == unsettled


@pytest.mark.parametrize(
    ("options", "days", "may"),
    [
        (RunOptions(), 1, True),
        (RunOptions(), 8, False),
        (RunOptions(send_late=True), 8, True),
        (RunOptions(dry_run=True), 1, False),
        (RunOptions(backfill=True, send_late=True), 1, False),
        (RunOptions(ignore_guard=True), 8, False),
    ],
)
def test_a_run_may_text_unless_it_is_late_or_dry_or_a_backfill(options, days, may):
    assert options.may_text(WINDOW, Settings(), days_after_the_end(days)) is may
