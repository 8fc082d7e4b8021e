"""Segments: a draft's counts, moves and recipients equal those of a real run, and of pandas."""

import json
from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.errors import NotReady
from engage.reports.segment_preview import cost, messages, preview, seconds, sms_segments
from engage.reports.segment_reach import reach
from engage.reports.segment_readers import read_by
from engage.reports.segment_recipients import recipients
from engage.sending import queue
from engage.settings import validate
from engage.statuses import SkipReason
from engage.steps.seed import seed
from engage.storage import partitions, schema
from tests.integration.conftest import KEY, UNGUARDED

CASES = [
    ("100", "5"),
    ("120", "5"),
    ("100", "4.875"),
    ("0", "0"),
    ("0", "1000000"),
    ("1000000000", "3"),
    ("180.55", "4.9"),
]
LAPSING = {
    "segments": json.dumps(
        {
            "segments": [
                {"name": "REWARD", "when": ["avg_weekly_sessions > high_activity_threshold"]},
                {
                    "name": "LAPSING",
                    "when": [
                        "days_since_last_purchase > lapsing_days_threshold",
                        {"any": ["liked > 0", "added_to_basket > 0"]},
                    ],
                },
                {"name": "RARE", "when": ["purchases > 30"]},
            ],
            "otherwise": "REST",
        }
    ),
    "lapsing_days_threshold": "28",
    "message_lapsing": "We miss you, {{ first_name }}. Reply STOP to opt out.",
}


@pytest.fixture
def seeded(world):
    seed(world.engine, world.window, 800, 1, hash_key=KEY)
    world.computed()
    return world


def drafted(**values):
    return validate(UNGUARDED | values)


def counted(world, **values):
    with world.engine.begin() as conn:
        return preview(conn, world.window, drafted(**values))


def bucket_of(world):
    query = sa.text("SELECT customer_id, bucket FROM customer_bucket ORDER BY customer_id")
    return pd.read_sql(query, world.engine).set_index("customer_id").bucket


# --- counts and moves


@pytest.mark.parametrize(("low", "high"), CASES)
def test_it_is_what_a_run_with_these_thresholds_makes(seeded, low, high):
    chosen = {"low_spend_threshold": low, "high_activity_threshold": high}
    before = bucket_of(seeded)
    found = counted(seeded, **chosen)
    fresh = seeded.computed(**chosen).buckets
    after = bucket_of(seeded)
    assert found.after == fresh
    assert found.before == before.value_counts().reindex(("BOOST", "REWARD", "NONE"), fill_value=0).to_dict()
    assert found.moves == pd.Series(zip(before, after, strict=True)).value_counts().to_dict()
    assert found.moved == int((before != after).sum())
    assert messages(found.draft, found.after) == int((after != "NONE").sum())


def test_it_is_what_a_run_with_these_rules_makes(seeded):
    before = bucket_of(seeded)
    found = counted(seeded, **LAPSING)
    assert found.after == seeded.computed(**LAPSING).buckets
    after = bucket_of(seeded)
    assert found.moves == pd.Series(zip(before, after, strict=True)).value_counts().to_dict()
    assert list(found.after) == ["REWARD", "LAPSING", "RARE", "REST"]
    assert list(found.before) == ["BOOST", "REWARD", "NONE"]


def test_with_the_campaigns_own_rules_no_customer_moves(seeded):
    found = counted(seeded)
    assert found.moved == 0
    assert found.before == found.after


def test_looking_changes_nothing(seeded):
    before = seeded.dump("campaign", "customer_activity", "customer_bucket")
    counted(seeded, **LAPSING)
    assert seeded.dump("campaign", "customer_activity", "customer_bucket") == before


def test_before_the_buckets_it_says_what_to_do(world):
    with pytest.raises(NotReady, match="run its bucket step first"):
        counted(world)
    world.sessions(world.customer())
    world.extract()
    with pytest.raises(NotReady, match="run its bucket step first"):
        counted(world)


def test_each_segment_has_up_to_three_examples_of_its_own(seeded):
    found = counted(seeded, **LAPSING)
    seeded.computed(**LAPSING)
    after = bucket_of(seeded)
    for name, customers in found.after.items():
        examples = found.examples.get(name, ())
        assert {after[one] for one in examples} <= {name}
        assert len(examples) == min(3, customers) or customers < 20


def test_an_erased_customer_is_counted_and_no_example(seeded):
    for erased in range(1, 400):
        erasure.forget(seeded.engine, erased, as_of=seeded.now)
    with seeded.engine.connect() as conn:
        found = preview(conn, seeded.window, drafted())
    assert sum(found.after.values()) == 800
    assert min(one for examples in found.examples.values() for one in examples) >= 400


# --- SMS segments, cost and time


def test_sms_segments_are_those_of_the_drafts_texts(world):
    world.sessions(world.customer(), 1)
    world.computed()
    found = counted(world, message_boost=f"{'x' * 200}. Reply STOP")
    assert messages(found.draft, found.after) == 1
    assert sms_segments(found.draft, found.after) == 2
    assert sms_segments(found.computed, found.before) == 1


def test_it_says_what_the_campaign_would_cost_and_how_long_it_would_take(world):
    world.purchase(world.customer(), 50_00)
    world.purchase(world.customer(), 150_00)
    world.computed()
    found = counted(world, low_spend_threshold="200", price_per_segment="0.01", messages_per_second="0.5")
    assert [messages(found.draft, side) for side in (found.before, found.after)] == [1, 2]
    assert (str(cost(found.draft, found.after)), seconds(found.draft, found.after)) == ("0.02", 4.0)


def test_without_a_price_no_cost_is_known(seeded):
    found = counted(seeded)
    assert cost(found.draft, found.after) is None
    assert seconds(found.draft, found.after) is None


# --- recipients


def asked(world, **values):
    with world.engine.begin() as conn:
        return recipients(conn, world.window, drafted(**values), world.now)


def queued(world, **values):
    """What the queue makes of a fresh run: messages that wait, by segment, and skipped ones by reason."""
    world.computed(**values)
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    own = partitions.partition_name(schema.message, world.window)
    rows = world.rows(f"SELECT bucket, status, reason, count(*) FROM {own} GROUP BY 1, 2, 3")
    waiting = {bucket: count for bucket, status, _, count in rows if status == "queued"}
    skipped = {}
    for _, status, reason, count in rows:
        if status == "skipped":
            skipped[reason] = skipped.get(reason, 0) + count
    return waiting, skipped


def without_zeros(found):
    return {name: count for name, count in found.by_segment.items() if count}, dict(found.left_out)


@pytest.mark.parametrize("more", [{}, {"holdout_percent": "20"}, {"sandbox_strict": True}], ids=str)
def test_they_are_the_messages_that_the_queue_makes(seeded, more):
    seeded.execute(  # valid numbers, for the strict case
        sa.text(
            "UPDATE customer SET phone = '+1212736' || lpad(customer_id::text, 4, '0'), "
            "phone_hash = sha256(customer_id::text::bytea) WHERE customer_id % 3 > 0"
        )
    )
    seeded.execute(sa.text("UPDATE customer SET opted_out_at = now() WHERE customer_id % 7 = 0"))
    seeded.execute(sa.text("UPDATE customer SET consent_at = NULL WHERE customer_id % 11 = 0"))
    seeded.execute(sa.text("UPDATE customer SET phone = NULL, phone_hash = NULL WHERE customer_id % 13 = 0"))
    seeded.execute(
        sa.text(
            "UPDATE customer SET (phone, phone_hash) = (SELECT phone, phone_hash FROM customer WHERE customer_id = 1) "
            "WHERE customer_id IN (2, 3, 4, 5, 6)"
        )
    )
    values = LAPSING | more
    found = asked(seeded, **values)
    assert found.phones_checked
    assert without_zeros(found) == queued(seeded, **values)
    assert SkipReason.OPTED_OUT in found.left_out
    assert SkipReason.DUPLICATE_PHONE in found.left_out


def test_a_message_of_another_campaign_a_short_time_ago_counts(seeded, in_window):
    earlier = in_window(seeded.window.previous())
    earlier.sessions(1)
    earlier.computed()
    queue.build(earlier.engine, earlier.window, options=RunOptions(send_late=True), as_of=seeded.now)
    seeded.execute(
        sa.text("UPDATE campaign SET frozen_at = :at WHERE window_start = :start").bindparams(
            at=seeded.now, start=earlier.window.start
        )
    )
    seeded.execute(
        sa.text(
            "UPDATE message SET status = 'sending', sending_at = :at, sender_token = 1, provider = 'sandbox' "
            "WHERE window_start = :start AND status = 'queued' AND customer_id < 100"
        ).bindparams(at=seeded.now - timedelta(days=1), start=earlier.window.start)
    )
    found = asked(seeded, **LAPSING)
    assert found.left_out[SkipReason.TOO_SOON] > 0
    assert without_zeros(found) == queued(seeded, **LAPSING)


def test_phones_are_not_checked_one_by_one_where_there_are_too_many(seeded, monkeypatch):
    from engage.reports import segment_recipients

    monkeypatch.setattr(segment_recipients, "MOST_PHONES", 5)
    found = asked(seeded, sandbox_strict=True)
    assert not found.phones_checked
    assert found.by_segment == asked(seeded).by_segment


def test_a_customer_who_was_forgotten_is_left_out(seeded):
    seeded.execute(sa.text("DELETE FROM customer WHERE customer_id = 5"))
    assert asked(seeded, low_spend_threshold="1000000").left_out[SkipReason.NO_CUSTOMER] == 1


# --- what customers would read


def test_a_customer_reads_the_text_in_the_language_of_the_locale(world):
    ada, kofi = world.customer(name="Ada Diaz", locale="es-MX"), world.customer(name="Kofi", locale="en-GB")
    world.purchase(ada, 12_50)
    world.sessions(kofi, 16)
    world.computed()
    with world.engine.begin() as conn:
        found = read_by(
            conn,
            world.window,
            {
                "a": {
                    "": "Hi {{ first_name }}. Reply STOP.",
                    "es": "Hola {{ first_name }} {{ total_spend }}: Responde STOP",
                },
                "b": {"": "Dear {{ name }}. Reply STOP."},
            },
            [ada, kofi],
        )
    assert [(one.name, [(read.variant, read.language, read.sms.text) for read in one.texts]) for one in found] == [
        ("Ada Diaz", [("a", "es", "Hola Ada 12.50: Responde STOP"), ("b", "", "Dear Ada Diaz. Reply STOP.")]),
        ("Kofi", [("a", "", "Hi Kofi. Reply STOP."), ("b", "", "Dear Kofi. Reply STOP.")]),
    ]
    assert [(one.total_spend_cents, one.avg_weekly_sessions) for one in found] == [(12_50, 0.0), (0, 2.0)]


# --- sliders


def test_a_slider_reaches_nearly_all_customers(seeded):
    with seeded.engine.begin() as conn:
        found = reach(conn, seeded.window, 800)
    spend = pd.read_sql(sa.text("SELECT total_spend_cents FROM customer_activity"), seeded.engine).total_spend_cents
    assert spend.quantile(0.98) / 100 <= found["total_spend"] <= 10 * spend.max() / 100
    assert "previous_segment" not in found
    assert set(found.values()) >= {1.0}


def test_a_slider_for_what_no_customer_has_reaches_one(world):
    world.sessions(world.customer(), 3)
    world.computed()
    with world.engine.begin() as conn:
        found = reach(conn, world.window, 1)
    assert (found["average_purchase"], found["days_since_last_purchase"], found["sessions"]) == (1.0, 1.0, 5.0)
