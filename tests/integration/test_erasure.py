"""Erasure removes all personal data, and keeps the counts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.customers import erasure, replies, suppression
from engage.customers.replies import InboundSms
from engage.errors import NotReady
from engage.sending import queue
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.storage import partitions
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.phones import fictional_phone
from tests.waiting import until

COUNTS = """SELECT (SELECT count(*) FROM customer_activity), (SELECT sum(total_spend_cents) FROM customer_activity),
                   (SELECT count(*) FROM customer_bucket), (SELECT count(*) FROM message WHERE status = 'accepted'),
                   (SELECT sum(segments) FROM message), (SELECT buckets::text FROM campaign)"""
TABLES = (
    "customer",
    "app_session",
    "purchase",
    "customer_activity",
    "customer_bucket",
    "message",
    "campaign",
    "suppression",
    "inbound_sms",
)


@pytest.fixture
def texted(world):
    """Two customers with events, both texted by name."""
    for n in range(2):
        id_ = world.customer(customer_id=4711 + n, phone=fictional_phone(n), name=f"Augusta{n} King")
        world.sessions(id_, 3)
        world.purchase(id_, 1234 + n)
        world.sessions(id_, 1, at=None)
    world.computed(message_boost="Hi {{ name }}, STOP to end")
    world.message()
    return world


def forget(world, customer_id=4711):
    return erasure.forget(world.engine, customer_id, as_of=world.now)


def test_nothing_of_the_customer_is_left_in_any_table_and_the_counts_stay(texted):
    before = texted.value(COUNTS), texted.rows(COUNTS)
    assert "Augusta0" in str(texted.dump(*TABLES))
    provider_id = texted.value("SELECT provider_message_id FROM message WHERE customer_id = 4711")
    done = forget(texted)
    assert (done.known, done.events, done.messages) == (True, 5, 1)
    everything = str(texted.dump(*TABLES))
    for trace in ("Augusta0", fictional_phone(0), "4711", provider_id):
        assert trace not in everything
    assert (texted.value(COUNTS), texted.rows(COUNTS)) == before
    assert "Augusta1" in everything
    assert texted.rows("SELECT reason FROM suppression") == [("erasure",)]


def test_what_is_left_of_one_belongs_together_and_has_a_number_that_no_customer_has(texted):
    forget(texted)
    [(id_,)] = texted.rows("SELECT customer_id FROM message WHERE customer_id <> 4712")
    assert id_ < 0
    for table in ("customer_activity", "customer_bucket"):
        assert texted.rows(f"SELECT customer_id FROM {table} WHERE customer_id <> 4712") == [(id_,)]


def test_twice_is_the_same_as_once(texted):
    forget(texted)
    before = texted.dump(*TABLES)
    again = forget(texted)
    assert (again.known, again.events, again.messages) == (False, 0, 0)
    assert texted.dump(*TABLES) == before


def test_the_same_phone_is_not_texted_again_though_it_comes_back_as_a_new_customer(texted):
    forget(texted)
    texted.execute(sa.text("DELETE FROM message"))
    texted.execute(sa.text("DELETE FROM campaign"))
    texted.purchase(texted.customer(customer_id=5000, phone=fictional_phone(0)), 1)
    texted.computed()
    texted.message()
    assert texted.ledger()[5000] == "skipped/suppressed"


def test_a_message_that_waits_is_skipped(world):
    world.purchase(world.customer(), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    erasure.forget(world.engine, 1, as_of=world.now)
    assert list(world.ledger().values()) == ["skipped/erased"]
    assert world.message().by_status == {"skipped": 1}


def test_while_a_message_is_on_its_way_it_has_to_wait(world):
    world.purchase(world.customer(), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    world.execute(sa.text("UPDATE message SET status = 'sending'"))
    before = world.dump(*TABLES)
    with pytest.raises(NotReady, match="is being sent at this moment"):
        erasure.forget(world.engine, 1, as_of=world.now)
    assert world.dump(*TABLES) == before


def test_a_customer_without_a_phone_can_be_forgotten(world):
    world.sessions(world.customer(phone=None))
    world.computed()
    world.message()
    assert erasure.forget(world.engine, 1, as_of=world.now).known
    assert world.rows("SELECT * FROM suppression") == []


def test_what_is_noted_of_their_texts_is_forgotten_too_and_of_nobody_elses(texted):
    for n in range(2):
        text = InboundSms(f"SM{n}", phone_hash(fictional_phone(n), KEY), "other")
        replies.receive(texted.engine, text, as_of=texted.now)
    forget(texted)
    assert texted.rows("SELECT provider_message_id FROM inbound_sms") == [("SM1",)]


def test_of_all_reasons_not_to_text_a_phone_being_forgotten_is_the_one_that_is_kept(texted):
    pairs = [
        ("stop", "erasure"), ("erasure", "stop"), ("stop", "provider"), ("revocation", "provider"),
        ("revocation", "erasure"), ("provider", "revocation"), ("dead_number", "stop"), ("stop", "dead_number"),
        ("erasure", "dead_number"), ("dead_number", "erasure"), ("dead_number", "revocation"),
    ]  # fmt: skip
    for n, (first, second) in enumerate(pairs):
        with texted.engine.begin() as conn:
            for reason in (first, second):
                suppression.suppress(conn, bytes([n]), reason=reason, source=f"as {reason}", as_of=texted.now)
    assert texted.rows("SELECT reason, source FROM suppression ORDER BY phone_hash") == [
        ("erasure", "as erasure"),
        ("erasure", "as erasure"),
        ("stop", "as stop"),
        ("provider", "as provider"),
        ("erasure", "as erasure"),
        ("provider", "as provider"),
        ("stop", "as stop"),
        ("stop", "as stop"),
        ("erasure", "as erasure"),
        ("erasure", "as erasure"),
        ("revocation", "as revocation"),
    ]


def test_nobody_can_be_forgotten(world):
    assert not erasure.forget(world.engine, 99, as_of=world.now).known


@pytest.mark.parametrize(
    ("step", "table"), [("aggregate", "customer_activity"), ("bucket", "customer_bucket"), ("queue", "message")]
)
def test_an_erasure_waits_for_a_step_that_has_copied_the_customers_id(world, step, table, monkeypatch):
    for _ in range(3):
        world.purchase(world.customer(), 100)
    world.computed()
    steps = {
        "aggregate": lambda: aggregate(world.engine, world.window),
        "bucket": lambda: bucket(world.engine, world.window),
        "queue": lambda: queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now),
    }
    build = partitions.build

    def built_beside_an_erasure(*arguments):
        rows = build(*arguments)
        forgetting.append(pool.submit(forget, world, 2))
        until(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1, "the erasure waits")
        return rows

    forgetting = []
    with ThreadPoolExecutor() as pool:
        for module in (partitions, partitions.results):
            monkeypatch.setattr(module, "build", built_beside_an_erasure)
        steps[step]()
        assert forgetting[0].result(30).known
    assert world.value(f"SELECT count(*) FROM {table} WHERE customer_id = 2") == 0
    assert world.value(f"SELECT count(*) FROM {table} WHERE customer_id < 0") == 1
