"""Who may be texted: caps across campaigns, consent, suppression, valid phones, and the hours where somebody is."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.customers import suppression
from engage.sending import eligibility, queue, sender
from engage.statuses import SkipReason
from engage.storage.schema import customer, message
from engage.texts import phone
from engage.window import Window
from tests.phones import fictional_phone

STRICT = {"sandbox_strict": "true", "min_days_between_messages": "0"}


def texted_on(world, moment):
    """The window's campaign has texted everybody at that moment."""
    world.computed()
    world.now = moment
    world.message(send_late=True)


# --- suppression


def test_a_suppressed_phone_is_not_texted(world):
    world.purchase(world.customer(), 100)
    with world.engine.begin() as conn:
        phone_hash = conn.execute(sa.text("SELECT phone_hash FROM customer")).scalar_one()
        for reason in ("stop", "provider"):
            suppression.suppress(conn, phone_hash, reason=reason, source="a test", as_of=world.now)
    world.computed()
    world.message()
    assert world.ledger() == {1: "skipped/suppressed"}
    assert world.rows("SELECT reason FROM suppression") == [("stop",)]


def test_a_synthetic_customer_is_never_handed_to_a_real_provider(world):
    world.purchase(world.customer(synthetic=True, phone=fictional_phone(0)), 100)
    world.computed(sms_provider="twilio")
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    assert world.ledger() == {1: "skipped/synthetic"}


# --- frequency


@pytest.mark.parametrize(
    ("days", "times", "fate"),
    [
        (56, ("2026-09-15T18:00:00", "2026-11-10T00:00:01"), "accepted"),  # 56 days later by the calendar
        (57, ("2026-09-15T00:00:00", "2026-11-10T23:59:59"), "skipped/too_soon"),
        (7, ("2026-11-03T23:59:59", "2026-11-10T00:00:00"), "accepted"),
        (7, ("2026-11-04T00:00:00", "2026-11-10T23:59:59"), "skipped/too_soon"),
        (1, ("2026-11-09T23:59:59", "2026-11-10T00:00:00"), "accepted"),
        (1, ("2026-11-10T00:00:00", "2026-11-10T23:59:59"), "skipped/too_soon"),
        (0, ("2026-11-10T09:00:00", "2026-11-10T09:00:00"), "accepted"),
    ],
)
def test_days_between_messages_are_counted_from_the_day_of_the_last_one(world, in_window, days, times, fate):
    earlier, later = times
    world.purchase(world.customer(registered_at="2025-01-06"), 100)
    before = in_window(world.window.previous())
    before.sessions(1)
    texted_on(before, datetime.fromisoformat(earlier).replace(tzinfo=UTC))
    world.now = datetime.fromisoformat(later).replace(tzinfo=UTC)
    world.computed(min_days_between_messages=str(days))
    world.message(send_late=True)
    assert world.ledger() == {1: fate}


def test_the_cap_follows_the_phone_to_another_customer_and_the_customer_to_another_phone(world, in_window):
    for _ in range(3):
        world.purchase(world.customer(registered_at="2025-01-06"), 100)
    before = in_window(world.window.previous())
    before.sessions(1)
    before.sessions(2)
    before.computed()
    before.execute(sa.text("DELETE FROM customer_bucket WHERE customer_id = 3"))
    texted_before = before.now = world.now - timedelta(days=1)
    assert texted_before
    before.message(send_late=True)
    world.execute(sa.text("UPDATE customer SET phone = '+999777', phone_hash = '\\x07' WHERE customer_id = 1"))
    swap = "UPDATE customer SET (phone, phone_hash) = (SELECT phone, phone_hash FROM customer WHERE customer_id = 2)"
    world.execute(sa.text(f"{swap} WHERE customer_id = 3"))
    world.execute(sa.text("UPDATE customer SET phone = null, phone_hash = null WHERE customer_id = 2"))
    world.computed()
    world.message()
    assert world.ledger() == {1: "skipped/too_soon", 2: "skipped/no_phone", 3: "skipped/too_soon"}


@pytest.mark.parametrize(
    ("state", "fate"),
    [
        ("unknown", "skipped/too_soon"),
        ("delivered", "skipped/too_soon"),
        ("failed", "accepted"),
        ("queued", "accepted"),
    ],
)
def test_what_may_have_reached_them_counts_and_what_never_left_does_not(world, in_window, state, fate):
    world.purchase(world.customer(registered_at="2025-01-06"), 100)
    before = in_window(world.window.previous())
    before.sessions(1)
    texted_on(before, world.now)
    world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    accepted = message.c.accepted_at if state == "delivered" else None
    world.execute(sa.update(message).values(status=state, accepted_at=accepted))
    world.computed()
    world.message()
    assert world.ledger() == {1: fate}


def test_the_cap_is_asked_again_when_a_message_is_claimed(world, in_window):
    world.purchase(world.customer(registered_at="2025-01-06"), 100)
    before = in_window(world.window.previous())
    before.sessions(1)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    texted_on(before, world.now)
    assert sender.send(world.engine, world.window, sender.SendingContext(lambda: world.now)).by_status == {"skipped": 1}
    assert world.ledger() == {1: "skipped/too_soon"}


# --- consent


def test_a_consent_counts_from_its_time_on(world):
    for minutes in (-1, 0, 1):
        world.purchase(world.customer(consent_at=world.now + timedelta(minutes=minutes)), 100)
    world.computed()
    world.message()
    assert world.ledger() == {1: "accepted", 2: "accepted", 3: "skipped/no_consent"}


def test_a_consent_that_was_dated_anew_is_asked_for_again_at_the_claim(world):
    world.purchase(world.customer(), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    world.execute(sa.update(customer).values(consent_at=world.now + timedelta(days=1)))
    sender.send(world.engine, world.window, sender.SendingContext(lambda: world.now))
    assert world.ledger() == {1: "skipped/no_consent"}


# --- phones


@pytest.mark.parametrize(
    ("number", "fate"),
    [
        (fictional_phone(0), "accepted"),
        ("+999000000001", "skipped/invalid_phone"),
        ("+1202555", "skipped/invalid_phone"),
        ("+120255501234", "skipped/invalid_phone"),
        ("+112025550123", "skipped/invalid_phone"),  # not canonical
        ("+442079460123", "skipped/not_mobile"),
        ("+18005550123", "skipped/not_mobile"),
        ("+19005550123", "skipped/not_mobile"),
        ("+881612345678", "skipped/not_mobile"),
        ("+883510012345", "skipped/not_mobile"),
    ],
)
def test_a_phone_that_cannot_get_a_text_is_skipped_where_it_matters(world, number, fate):
    world.now = datetime(2026, 11, 10, 17, tzinfo=UTC)
    world.purchase(world.customer(phone=number), 100)
    world.computed(**STRICT)
    world.message()
    assert world.ledger() == {1: fate}
    world.execute(sa.text("DELETE FROM message"))
    world.execute(sa.text("DELETE FROM campaign"))
    world.computed()
    world.message()
    assert world.ledger() == {1: "accepted"}  # the sandbox takes any


@pytest.mark.parametrize(
    "number", ["2025550123", "+0202555", "+1 202 555 0123", "tel:+12025550123", "+", "+1202555012345678"]
)
def test_the_database_takes_e164_only(world, number):
    with pytest.raises(sa.exc.IntegrityError, match="customer_phone_check"):
        world.customer(phone=number)


# --- hours


PLACES = ["America/New_York", "Europe/London", "Asia/Kolkata", "Pacific/Auckland"]


@pytest.mark.parametrize(
    ("utc", "sent", "resumes"),
    [
        # NY 7:30, London 12:30, Kolkata 18:00, Auckland 1:30
        ("2026-11-10T12:30", {2, 3}, "2026-11-10T13:00"),
        # NY 14:00, London 19:00, Kolkata 0:30, Auckland 8:00
        ("2026-11-10T19:00", {1, 2, 4}, "2026-11-11T02:30"),
        # NY 21:30, London 2:30, Kolkata 8:00, Auckland 15:30
        ("2026-11-10T02:30", {3, 4}, "2026-11-10T08:00"),
        # clocks went back in New York in the night to 2026-11-01: 12:30 UTC is 7:30, and was 8:30 the day before
        ("2026-10-31T12:30", {1, 2, 3}, "2026-10-31T19:00"),
        ("2026-11-01T12:30", {2, 3}, "2026-11-01T13:00"),
    ],
)
def test_right_held_and_right_sent_around_the_world(world, utc, sent, resumes):
    world.now = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    world.window = Window.last_complete(world.now)
    for n, place in enumerate(PLACES):
        world.purchase(world.customer(phone=fictional_phone(n), time_zone=place), 100)
    world.computed(**STRICT)
    summary = world.message(send_late=True)
    assert world.ledger() == {n: "accepted" if n in sent else "queued" for n in range(1, 5)}
    assert summary.resume_at == datetime.fromisoformat(resumes).replace(tzinfo=UTC)


def test_held_messages_go_out_when_the_hours_open_and_nothing_else_again(world):
    world.now = datetime(2026, 11, 10, 12, 30, tzinfo=UTC)
    for n, place in enumerate(PLACES):
        world.purchase(world.customer(phone=fictional_phone(n), time_zone=place), 100)
    world.computed(**STRICT)
    accepted = {}
    for _ in range(5):
        summary = world.message()
        for customer_id, moment in world.rows("SELECT customer_id, sending_at FROM message WHERE status = 'accepted'"):
            accepted.setdefault(customer_id, moment)
            assert accepted[customer_id] == moment
        if summary.resume_at is None:
            break
        world.now = summary.resume_at
    assert {n: f"{moment:%H:%M}" for n, moment in accepted.items()} == {1: "13:00", 2: "12:30", 3: "12:30", 4: "19:00"}
    assert world.value("SELECT status FROM campaign") == "complete"


def test_without_a_time_zone_it_has_to_be_day_wherever_the_number_can_be(world):
    australian_mobile = "+61491570156"  # kept for fiction; anywhere from the Cocos Islands to Lord Howe Island
    world.purchase(world.customer(phone=australian_mobile), 100)
    world.now = datetime(2026, 11, 10, 21, 30, tzinfo=UTC)  # 8:30 in Sydney, 5:30 in Perth, 4:00 on the Cocos Islands
    world.computed(**STRICT)
    held = world.message()
    assert held.by_status == {"queued": 1}
    assert held.resume_at == world.now.replace(day=11, hour=1)
    world.now = held.resume_at
    assert world.message().by_status == {"accepted": 1}


def test_a_number_that_tells_no_place_is_skipped(world, monkeypatch):
    monkeypatch.setattr(phone.timezone, "time_zones_for_number", lambda number: ("Etc/Unknown",))
    world.now = datetime(2026, 11, 10, 12, tzinfo=UTC)
    world.purchase(world.customer(phone=fictional_phone(0)), 100)
    world.computed(**STRICT)
    world.message()
    assert world.ledger() == {1: "skipped/no_time_zone"}


def test_a_number_that_turns_out_to_be_a_landline_after_queueing_is_skipped_when_it_is_claimed(world, monkeypatch):
    world.now = datetime(2026, 11, 10, 17, tzinfo=UTC)
    world.purchase(world.customer(phone=fictional_phone(0)), 100)
    world.computed(**STRICT)
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    monkeypatch.setattr(eligibility, "not_textable", lambda number: SkipReason.NOT_MOBILE)
    sender.send(world.engine, world.window, sender.SendingContext(lambda: world.now))
    assert world.ledger() == {1: "skipped/not_mobile"}


def test_hours_that_close_between_finding_and_claiming_keep_a_message_queued(world):
    world.purchase(world.customer(phone=fictional_phone(0), time_zone="America/New_York"), 100)
    evening = datetime(2026, 11, 11, 1, 58, tzinfo=UTC)  # 20:58 there
    world.now = evening
    world.computed(**STRICT)
    queue.build(world.engine, world.window, options=RunOptions(), as_of=evening)
    clock = iter([evening, evening, *[evening + timedelta(minutes=3)] * 50])
    summary = sender.send(world.engine, world.window, sender.SendingContext(lambda: next(clock)))
    assert summary.by_status == {"queued": 1}
    assert summary.resume_at == datetime(2026, 11, 11, 13, tzinfo=UTC)


def test_a_text_too_long_for_a_customer_is_skipped_with_the_reason(world):
    world.purchase(world.customer(name="😀" * 40), 100)
    world.purchase(world.customer(name="Ada"), 100)
    world.computed(message_boost="{{ name }} " + "x" * 100, max_segments="1")
    world.message()
    assert world.ledger() == {1: "skipped/too_long", 2: "accepted"}
    assert world.rows("SELECT customer_id, segments FROM message WHERE segments > 0") == [(2, 1)]


def test_texts_are_personal_and_their_values_are_no_templates(world):
    world.purchase(world.customer(name="{{7*7}}\n\u202eEve"), 1234)
    world.computed(message_boost="Hi {{ name }}: {{ total_spend }}")
    world.message()
    assert world.value("SELECT body FROM message") == "Hi {{7*7}} Eve: 12.34 Reply STOP to opt out."
