import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from engage import alert_outbox, maintenance
from engage.campaigns import campaign
from engage.errors import NoValidEvents
from engage.maintenance import MaintenanceSummary
from engage.statuses import AlertKind
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.storage import partitions
from engage.storage.schema import LOG_TIMES, app_event, app_session, event_id, inbound_sms, intake_batch, purchase
from engage.window import ANCHOR, LENGTH, Window
from tests.waiting import until

RESULTS = ("customer_activity", "customer_bucket", "message")
NOTHING = MaintenanceSummary(
    idempotency_keys=0, event_ids=0, inbound_texts=0, alerts=0, dropped=[], late_events=0, kept=[]
)


@pytest.fixture
def template():
    return "installed"


@pytest.fixture
def old(in_window, window):
    """The window before the last complete window. These tests keep only the latter."""
    return in_window(window.previous())


def maintained(world, keep_windows=1):
    return maintenance.maintain(world.engine, keep_windows, as_of=world.now)


def name(world):
    return f"{world.window.start:%Y-%m-%d}"


def tables(world):
    return {table for table in sa.inspect(world.engine).get_table_names() if world.window.key in table}


def logs(world):
    """Rows of all raw logs in the window."""
    bounds = {"start": world.window.start, "end": world.window.end}
    with world.engine.connect() as conn:
        return sum(
            conn.execute(
                sa.text(f"SELECT count(*) FROM {log.name} WHERE {at.name} >= :start AND {at.name} < :end"), bounds
            ).scalar_one()
            for log, at in LOG_TIMES.items()
        )


def viewed(world, customer_id, at):
    world.execute(sa.insert(app_event).values(customer_id=customer_id, occurred_at=at, kind="viewed"))


def finished(world, **settings):
    """A campaign that has texted its customer; the window holds three events."""
    customer_id = world.customer()
    world.sessions(customer_id, 2)
    viewed(world, customer_id, world.window.start)
    world.computed(**settings)
    world.message()
    assert world.value(status_of(world)) == "complete"
    return customer_id


def status_of(world):
    return f"SELECT status FROM campaign WHERE window_start = '{world.window.start.isoformat()}'"


# --- partitions


@pytest.mark.parametrize("mailed", [True, False])
def test_alerts_are_deleted_90_days_after_their_mail_or_without_one(world, mailed):
    for days in (91, 89):
        at = world.now - timedelta(days=days)
        with world.engine.begin() as conn:
            alert_outbox.put(conn, AlertKind.CAMPAIGN_HALTED, as_of=at, why=f"{days} days ago")
        if mailed:
            world.execute(sa.text("UPDATE alert SET mailed_at = raised_at"))
    assert maintained(world).alerts == 1
    assert maintained(world).alerts == 0
    assert world.value("SELECT detail ->> 'why' FROM alert") == "89 days ago"


def test_the_partitions_of_the_current_window_and_the_next_two_are_made(world):
    later = world.window.end + 10 * LENGTH
    maintenance.maintain(world.engine, 13, as_of=later)
    ahead = [Window(later + n * LENGTH) for n in range(3)]
    assert {f"{log.name}_{window.key}" for log in LOG_TIMES for window in ahead} <= set(
        sa.inspect(world.engine).get_table_names()
    )


# --- idempotency keys and texts


def keys(world, *ages):
    rows = [
        {"owner": "k", "idempotency_key": str(n), "fingerprint": b"", "accepted_at": world.now - age, "answer": {}}
        for n, age in enumerate(ages)
    ]
    world.execute(sa.insert(intake_batch), rows)


def test_idempotency_keys_are_deleted_after_seven_days(world):
    week, moment = timedelta(days=7), timedelta(microseconds=1)
    keys(world, timedelta(0), week, week + moment, 9 * week)
    assert maintained(world).idempotency_keys == 2
    assert world.rows("SELECT idempotency_key FROM intake_batch ORDER BY 1") == [("0",), ("1",)]
    assert maintained(world) == NOTHING


def test_event_ids_are_deleted_after_two_windows(world):
    two_windows, moment = 2 * LENGTH, timedelta(microseconds=1)
    ages = (timedelta(0), two_windows, two_windows + moment, 9 * two_windows)
    rows = [{"event_key": uuid.UUID(int=n), "accepted_at": world.now - age} for n, age in enumerate(ages)]
    world.execute(sa.insert(event_id), rows)
    assert maintained(world).event_ids == 2
    assert [key.int for (key,) in world.rows("SELECT event_key FROM event_id ORDER BY 1")] == [0, 1]
    assert maintained(world) == NOTHING


def test_the_record_of_customers_texts_is_deleted_after_ninety_days(world):
    for days in (0, 90, 91, 400):
        row = {"phone_hash": b"", "text_class": "help", "received_at": world.now - timedelta(days=days)}
        world.execute(sa.insert(inbound_sms).values(provider_message_id=f"SM{days}", **row))
    assert maintained(world).inbound_texts == 2
    assert world.rows("SELECT provider_message_id FROM inbound_sms ORDER BY 1") == [("SM0",), ("SM90",)]


def test_a_start_is_remembered_for_ever_since_again_it_would_end_a_later_stop(world):
    row = {"phone_hash": b"", "text_class": "start", "received_at": world.now - timedelta(days=400)}
    world.execute(sa.insert(inbound_sms).values(provider_message_id="SM1", **row))
    assert maintained(world) == NOTHING
    assert world.rows("SELECT provider_message_id FROM inbound_sms") == [("SM1",)]


def test_rows_are_deleted_in_batches_each_committed_by_itself(world, monkeypatch):
    monkeypatch.setattr(maintenance, "BATCH", 2)
    keys(world, *[timedelta(days=8)] * 5)
    with ThreadPoolExecutor() as pool:
        with world.engine.begin() as conn:
            conn.execute(sa.select(intake_batch).where(intake_batch.c.idempotency_key == "4").with_for_update())
            done = pool.submit(maintained, world)
            until(lambda: world.value("SELECT count(*) FROM intake_batch") == 1, "only the locked row is left")
        assert done.result().idempotency_keys == 5


# --- raw events


def test_the_events_of_an_old_window_go_once_its_campaign_is_complete_and_its_results_stay(world, old):
    finished(old)
    finished(world)
    before = old.dump(*RESULTS, "campaign")
    assert maintained(world) == MaintenanceSummary(0, 0, 0, 0, dropped=[name(old)], late_events=0, kept=[])
    assert tables(old) == {f"{result}_{old.window.key}" for result in RESULTS}
    assert (logs(old), logs(world)) == (0, 3)
    assert old.dump(*RESULTS, "campaign") == before


def test_dropping_twice_is_the_same_as_once(world, old):
    finished(old)
    maintained(world)
    before = world.dump(*RESULTS, "campaign", "app_session", "app_event")
    assert maintained(world) == NOTHING
    assert world.dump(*RESULTS, "campaign", "app_session", "app_event") == before


@pytest.mark.parametrize(("keep_windows", "stays"), [(1, False), (2, True), (1000, True)])
def test_windows_are_counted_back_from_the_last_complete_one(world, old, keep_windows, stays):
    finished(old)
    assert maintained(world, keep_windows).dropped == ([] if stays else [name(old)])
    assert logs(old) == (3 if stays else 0)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_window_whose_campaign_is_not_complete_stays_and_is_named(world, old, caplog, dry_run):
    old.sessions(old.customer())
    old.computed()
    if dry_run:
        old.message(dry_run=True)
    with caplog.at_level(logging.WARNING):
        assert maintained(world) == MaintenanceSummary(0, 0, 0, 0, dropped=[], late_events=0, kept=[name(old)])
    assert f"The events of {old.window} are past their retention, but stay, as" in caplog.text
    assert logs(old) == 1


@pytest.mark.parametrize("partitioned", [True, False])
@pytest.mark.parametrize("event", ["session", "purchase", "app_event"])
def test_a_window_with_a_customers_event_that_no_campaign_has_read_stays_and_is_named(world, old, event, partitioned):
    if partitioned:
        partitions.ensure_windows(world.engine, [old.window])
    if event == "session":
        old.sessions(1, at=old.window.start)
    elif event == "purchase":
        old.purchase(1, 100, at=old.window.end - timedelta(microseconds=1))
    else:
        viewed(old, 1, old.window.start)
    partitions_before = tables(old)
    assert maintained(world) == MaintenanceSummary(0, 0, 0, 0, dropped=[], late_events=0, kept=[name(old)])
    assert logs(old) == 1
    assert tables(old) == partitions_before


def test_a_window_goes_without_a_campaign_if_no_customer_did_anything_in_it(world, old):
    partitions.ensure_windows(world.engine, [old.window])
    old.sessions(None, 3)
    assert maintained(world) == MaintenanceSummary(0, 0, 0, 0, dropped=[name(old)], late_events=0, kept=[])
    assert tables(old) == set()
    old.sessions(None, 2)
    assert maintained(world) == MaintenanceSummary(0, 0, 0, 0, dropped=[], late_events=2, kept=[])


def test_a_backfill_lets_a_window_go(world, old):
    old.sessions(old.customer())
    assert maintained(world).kept == [name(old)]
    old.computed()
    old.message(backfill=True)
    assert maintained(world).dropped == [name(old)]


def test_old_rows_in_default_go_with_their_windows_and_rows_without_a_time_stay(world, old, in_window, monkeypatch):
    monkeypatch.setattr(maintenance, "BATCH", 2)
    finished(old)
    maintained(world)
    unread = in_window(old.window.previous())
    old.sessions(1, 5)
    old.purchase(1, 100, at=old.window.start)
    viewed(old, 1, old.window.end - timedelta(microseconds=1))
    unread.sessions(1, 2)
    world.sessions(1, at=ANCHOR - timedelta(microseconds=1))
    world.sessions(1, at="-infinity")
    world.sessions(1, 3, at=None)
    world.sessions(1, at="infinity")
    assert maintained(world) == MaintenanceSummary(0, 0, 0, 0, dropped=[], late_events=9, kept=[name(unread)])
    assert (logs(old), logs(unread)) == (0, 2)
    assert world.value("SELECT count(*) FROM app_session") == 2 + 3 + 1


# --- a window without its events is not computed anew


@pytest.fixture
def untexted(old, world):
    """A campaign that was too late to text its customers in BOOST; its events are dropped."""
    old.now = world.now
    for _ in range(3):
        old.sessions(old.customer(), 2)
    old.computed()
    old.message()
    assert set(old.ledger().values()) == {"skipped/too_late"}
    assert old.value("SELECT frozen_at FROM campaign") is None
    assert maintained(world).dropped == [name(old)]
    return old


@pytest.mark.parametrize("late", [0, 1])
def test_a_campaign_that_texted_nobody_stays_as_it_was_and_texts_nobody_after_its_events_are_dropped(untexted, late):
    before = untexted.dump(*RESULTS, "campaign")
    if late:
        untexted.sessions(10_000, late)
    assert untexted.extract(low_spend_threshold=1_000).frozen
    assert aggregate(untexted.engine, untexted.window).frozen
    assert bucket(untexted.engine, untexted.window).frozen
    untexted.message(send_late=True)
    assert untexted.dump(*RESULTS, "campaign") == before


def test_a_closed_campaign_does_not_count_as_one_that_is_still_sending(untexted):
    assert untexted.value("SELECT finished_at FROM campaign") == untexted.now


def test_a_window_that_went_without_a_campaign_has_none_afterwards(world, old):
    partitions.ensure_windows(world.engine, [old.window])
    old.sessions(None)
    maintained(world)
    old.customer()
    with pytest.raises(NoValidEvents):
        old.extract()
    assert world.value("SELECT count(*) FROM campaign") == 0


# --- beside other transactions


def test_nobodys_rows_are_lost_and_nobody_fails_while_partitions_are_dropped(world, old, in_window):
    """Writers of several logs in one transaction, in either order, to every window there is."""
    windows = [old]
    while len(windows) < 4:
        windows.append(in_window(windows[-1].window.previous()))
    for world_then in windows:
        world_then.ids = old.ids
        finished(world_then)
    stop, written = threading.Event(), []

    def write(order):
        while not stop.is_set():
            with world.engine.begin() as conn:
                for log in order:
                    for start in (world.window.start, world.window.end, old.window.start, None):
                        conn.execute(sa.insert(log).values({"customer_id": 1, LOG_TIMES[log].name: start}))
            written.append(1)

    logs_written = [app_session, purchase]
    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write, order) for order in (logs_written, logs_written[::-1]) * 2]
        try:
            until(lambda: len(written) > 20, "some rows are written")
            dropped = maintained(world).dropped
            count = len(written)
            until(lambda: len(written) > count + 20, "more rows are written")
        finally:
            stop.set()
        assert [writer.result() for writer in writers] == [None] * 4
    assert dropped == sorted(name(world_then) for world_then in windows)
    assert logs(world) == 2 * len(written)
    for log, at in ((app_session, "started_at"), (purchase, "purchased_at")):
        counts = f"SELECT count(*) FROM {log.name} WHERE {at}"
        assert world.value(f"{counts} = '{world.window.end.isoformat()}'") == len(written)
        assert world.value(f"{counts} IS NULL") == len(written)


def test_dropping_outlasts_a_reader_that_holds_the_log(world, old):
    finished(old)
    with ThreadPoolExecutor() as pool:
        with world.engine.begin() as conn:
            conn.execute(sa.text("SELECT count(*) FROM app_session"))
            done = pool.submit(maintained, world)
            time.sleep(3)  # longer than the lock timeout, so that it has to try again
            assert logs(old) == 3
        assert done.result().dropped == [name(old)]


def test_a_campaign_that_is_just_computed_anew_keeps_its_events(untexted_yet, world):
    with ThreadPoolExecutor() as pool:
        with campaign.opening(world.engine, untexted_yet.window, "extract", world.now) as step:
            done = pool.submit(maintained, world)
            until(lambda: waiting(world), "the maintenance waits")
            step.save(status="extracted")
        assert done.result().kept == [name(untexted_yet)]
    assert logs(untexted_yet) == 1


@pytest.fixture
def untexted_yet(old, world):
    """A complete campaign without sent messages, with its events."""
    old.now = world.now
    old.sessions(old.customer())
    old.computed()
    old.message()
    return old


def waiting(world):
    return world.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")


def test_an_event_that_comes_in_at_the_last_moment_keeps_a_window_without_a_campaign(world, old):
    partitions.ensure_windows(world.engine, [old.window])
    with ThreadPoolExecutor() as pool:
        with world.engine.begin() as conn:
            conn.execute(sa.insert(app_session).values(customer_id=1, started_at=old.window.start))
            done = pool.submit(maintained, world)
            until(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "the maintenance waits")
        assert done.result().kept == [name(old)]
    assert logs(old) == 1


def test_the_windows_of_a_log_are_those_that_have_a_partition(world):
    partitions.ensure_windows(world.engine, [Window(ANCHOR)])
    with world.engine.begin() as conn:
        partitions.build_events(conn, Window(ANCHOR).next())
        found = partitions.windows_of(conn, app_session)
    current = Window.containing(world.now)
    assert found == {Window(ANCHOR), current, current.next(), current.next().next()}
    assert all(isinstance(window.start, datetime) for window in found)
