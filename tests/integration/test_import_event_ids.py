"""Events with ids in files: each counts once, whatever its file, and beside the service if the operator says so."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from engage.errors import InputError
from engage.imports.event_rows import MAX_EVENT_ID
from engage.service import api_keys, idempotent_intake
from engage.service.event_batch import Batch
from engage.service.event_models import EventId
from engage.statuses import ApiScope
from engage.storage.event_ids import event_key
from tests.integration.importing import AS_OF, Importing

LOGS = ("app_session", "purchase", "refund", "app_event", "event_id", "intake_batch")
HEADER = "type,customer_id,occurred_at,amount,item_id,event_id\n"
FILE = f"""{HEADER}session,1,2026-09-20,,,a
purchase,1,2026-09-20,12.50,,a
purchase,1,2026-09-20,99.00,,a
purchase,2,2026-09-21,1.00,,
purchase,2,2026-09-21,1.00,,
refund,1,2026-09-22,2.50,,a
liked,1,2026-09-20,,pie,a
liked,1,2026-09-20,,cake,a
viewed,1,2026-09-20,,pie,a
"""


@pytest.fixture
def importing(world):
    return Importing(world)


def batch(owner, name, cents):
    """A batch of the service with one purchase that has an id."""
    events = {
        "purchases": [(1, 0, cents)],
        "event_keys": {"purchases": [(0, event_key("purchase", owner, name))]},
    }
    return Batch(owner, f"batch {name}", b"", {"accepted": 1, "rejected": [], "duplicates": 0}, **events)


def key_of(world, owner):
    with world.engine.begin() as conn:
        api_keys.create(conn, "app", [ApiScope.EVENTS], 0, as_of=AS_OF, owner=owner)


def test_an_id_counts_once_in_a_file_for_each_type_and_the_first_row_counts(importing, world):
    checked = importing.events(FILE, apply=False)
    assert world.value("SELECT count(*) FROM event_id") == 0
    done = importing.events(FILE)
    for report in (checked, done):
        assert (report.read, report.added, report.unchanged, report.rejected) == (9, 7, 2, 0)
        assert report.notes["repeated_events"] == 2
        assert {kind: report.notes[kind] for kind in ("sessions", "purchases", "refunds", "app_events")} == {
            "sessions": 1, "purchases": 4, "refunds": 1, "app_events": 3,
        }  # fmt: skip
    assert world.rows("SELECT customer_id, amount_cents FROM purchase ORDER BY 1") == [(1, 1250), (2, 100), (2, 100)]
    assert world.rows("SELECT customer_id, amount_cents FROM refund") == [(1, 250)]
    assert world.rows("SELECT kind, item_id FROM app_event ORDER BY 1") == [("liked", "pie"), ("viewed", "pie")]
    assert world.value("SELECT count(*) FROM app_session") == 1
    assert world.value("SELECT count(*) FROM event_id") == 5


def test_a_second_file_adds_only_the_ids_that_are_new(importing, world):
    importing.events(f"{HEADER}purchase,1,2026-09-20,1.00,,a\npurchase,1,2026-09-20,2.00,,b\n")
    second = f"{HEADER}purchase,1,2026-09-20,7.00,,b\npurchase,1,2026-09-20,3.00,,c\n"
    assert importing.events(second, apply=False).added == 1
    report = importing.events(second)
    assert (report.added, report.unchanged, report.loaded_before) == (1, 1, None)
    assert world.rows("SELECT amount_cents FROM purchase ORDER BY 1") == [(100,), (200,), (300,)]


def test_a_file_that_was_loaded_counts_its_repeated_events_as_unchanged_only(importing):
    importing.events(FILE)
    report = importing.events(FILE)
    assert (report.added, report.unchanged) == (0, 9)
    assert "repeated_events" not in report.notes


@pytest.mark.parametrize(("owner", "purchases"), [("shop", [1250]), (None, [1250, 9900])])
def test_the_same_purchase_from_the_app_counts_once_if_the_file_has_its_owner(importing, world, owner, purchases):
    key_of(world, "shop")
    with world.engine.begin() as conn:
        idempotent_intake.store(conn, [batch("shop", "order-1", 1250)], AS_OF)
    content = f"{HEADER}purchase,1,2026-09-20,99.00,,order-1\n"
    assert importing.events(content, apply=False, owner=owner).added == len(purchases) - 1
    importing.events(content, owner=owner)
    assert world.rows("SELECT amount_cents FROM purchase ORDER BY 1") == [(cents,) for cents in purchases]


def test_a_purchase_of_a_file_is_repeated_when_the_app_sends_it_later(importing, world):
    key_of(world, "shop")
    importing.events(f"{HEADER}purchase,1,2026-09-20,12.50,,order-1\n", owner="shop")
    with world.engine.begin() as conn:
        [taken] = idempotent_intake.store(conn, [batch("shop", "order-1", 9900)], AS_OF)
    assert taken.answer["duplicates"] == 1
    assert world.rows("SELECT amount_cents FROM purchase") == [(1250,)]


@pytest.mark.parametrize("apply", [False, True])
def test_an_owner_without_a_key_is_refused_naming_those_that_there_are(importing, world, apply):
    with pytest.raises(InputError, match=r"--owner is 'shop'; it takes the owner of an API key\. There is no API key"):
        importing.events(FILE, owner="shop", apply=apply)
    key_of(world, "store")
    with pytest.raises(InputError, match=r"The owners are store\."):
        importing.events(FILE, owner="shop", apply=apply)
    assert world.value("SELECT count(*) FROM purchase") == 0


@pytest.mark.parametrize("name", ["x" * (MAX_EVENT_ID + 1), "a\x07b", "a\ufffdb"])
def test_an_id_that_the_service_would_refuse_is_rejected(importing, name):
    TypeAdapter(EventId).validate_python("x" * MAX_EVENT_ID)
    with pytest.raises(ValidationError):
        TypeAdapter(EventId).validate_python("x" * (MAX_EVENT_ID + 1))
    report = importing.events(f"{HEADER}session,1,2026-09-20,,,{name}\n")
    assert report.reasons == {"invalid_event_id": 1}
    assert report.first_rejected[0][1].startswith("event_id: It takes at most 100 characters")


def test_an_orders_number_is_an_id_only_if_the_operator_says_so(importing):
    content = "customer_id,occurred_at,amount,order id\n1,2026-09-20,1.00,17\n1,2026-09-20,2.00,17\n"
    assert importing.events(content, event_type="purchase", apply=False).added == 2
    named = importing.events(content, event_type="purchase", mapping=("order id=event_id",), apply=False)
    assert (named.added, named.unchanged) == (1, 1)


def test_refunds_are_a_file_of_their_own(importing, world):
    content = "customer_id,refunded at,amount\n1,2026-09-20,2.50\n1,2026-09-20,0.00\n1,2026-09-20,\n1,2026-09-20,-1\n"
    report = importing.events(content, event_type="refund")
    assert (report.added, report.reasons) == (1, {"invalid_amount": 3})
    assert "A refund has an amount above 0." in importing.rejected
    assert "The refund has no amount." in importing.rejected
    assert world.rows("SELECT customer_id, amount_cents FROM refund") == [(1, 250)]
    with pytest.raises(InputError, match="No column is the amount of the refunds"):
        importing.events("customer_id,occurred_at\n1,2026-09-20\n", event_type="refund")


def test_files_at_once_with_the_same_ids_count_each_once(world):
    def load(seed):
        draw = random.Random(seed)
        names = draw.sample(range(300), 200)
        rows = "".join(f"purchase,1,2026-09-20,1.00,,n{name}\n" for name in names)
        return names, Importing(world).events(f"{HEADER}{rows}")

    with ThreadPoolExecutor(4) as threads:
        done = [*threads.map(load, range(8))]
    every = {name for names, _ in done for name in names}
    assert sum(report.added for _, report in done) == len(every) == world.value("SELECT count(*) FROM purchase")
    assert world.value("SELECT count(*) FROM event_id") == len(every)


def test_an_import_that_fails_claims_no_id(importing, world):
    before = world.dump(*LOGS)
    world.execute(sa.text("ALTER TABLE refund RENAME TO away"))
    with pytest.raises(sa.exc.ProgrammingError):
        importing.events(FILE)
    world.execute(sa.text("ALTER TABLE away RENAME TO refund"))
    assert world.dump(*LOGS) == before
    assert importing.events(FILE).added == 7
