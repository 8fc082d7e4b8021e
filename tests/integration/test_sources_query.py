"""Events from a second real Postgres: each counts once, and as many as the source itself counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.pulled import PulledKind
from engage.campaigns.run_options import RunOptions
from engage.errors import GuardStop, SourceError
from engage.settings import validate
from engage.sources import part, pull, query
from engage.sources.query import Slice
from engage.steps.extract import extract
from engage.storage.event_ids import KEEP
from tests.integration.conftest import UNGUARDED
from tests.integration.sources import DEFINITION, SESSIONS, TABLES, Warehouse, second_postgres


@pytest.fixture(scope="module")
def second_server():
    with second_postgres() as url:
        yield url


@pytest.fixture
def warehouse(second_server):
    found = Warehouse(second_server)
    found.execute(TABLES)
    return found


@pytest.fixture
def pulled(world, warehouse):
    """Pulls the window from the warehouse."""

    def run(definition=DEFINITION, window=world.window, as_of=world.now):
        return pull(world.engine, window, warehouse.source(definition), as_of=as_of)

    return run


def only(kind):
    return {kind: DEFINITION[kind]}


def stored(world, table):
    return world.value(f"SELECT count(*) FROM {table}")


def test_a_pull_stores_every_event_of_the_window_and_says_what_the_source_counts(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=3000, purchases=700)
    warehouse.fill(world.window.next(), sessions=500, purchases=50)
    found = pulled()
    assert found.kinds == {
        "session": PulledKind(counted=3000, read=3000, stored=3000),
        "purchase": PulledKind(counted=700, read=700, stored=700),
    }
    assert [stored(world, table) for table in ("app_session", "purchase")] == [3000, 700]
    assert warehouse.count("opened", world.window) == 3000
    assert world.value("SELECT sum(amount_cents) FROM purchase") == sum(n * 25 for n in range(1, 701))
    assert world.value("SELECT min(purchased_at) FROM purchase") == world.window.start
    assert warehouse.opened == 1


def test_a_second_pull_adds_what_is_new_and_nothing_twice(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=3000, purchases=700)
    first = pulled()
    before = world.dump("app_session", "purchase")
    assert pulled() == first
    assert world.dump("app_session", "purchase") == before
    warehouse.execute("INSERT INTO opened VALUES (9001, 7, %s)", world.window.end - timedelta(seconds=1))
    assert pulled().kinds["session"] == PulledKind(counted=3001, read=3001, stored=3001)
    assert stored(world, "app_session") == 3001


def test_a_slice_that_is_read_is_only_counted_again(world, warehouse, pulled, monkeypatch):
    warehouse.fill(world.window, sessions=800, purchases=0)
    pulled(only("session"))
    read, chunks = [], Slice.chunks
    monkeypatch.setattr(Slice, "chunks", lambda one: read.append(one.name) or chunks(one))
    warehouse.execute("INSERT INTO opened VALUES (9001, 7, %s)", world.window.start + timedelta(days=8))
    pulled(only("session"))
    assert read == [f"{world.window.start + timedelta(days=7):%Y-%m-%d}"]


def test_a_corrected_query_is_read_anew(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=800, purchases=0)
    half, other = (SESSIONS.replace("WHERE", f"WHERE id % 2 = {rest} AND") for rest in (0, 1))
    assert pulled({"session": {"query": half}}).kinds["session"].stored == 400
    pulled({"session": {"query": other}})
    assert stored(world, "app_session") == 800, "although the counts are the same"
    assert pulled(only("session")).kinds["session"] == PulledKind(counted=800, read=800, stored=800)


def test_an_id_that_the_source_has_twice_counts_once(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=100, purchases=0)
    warehouse.execute("INSERT INTO opened SELECT * FROM opened WHERE id <= 10")
    found = pulled(only("session")).kinds["session"]
    assert (found.counted, found.read, found.stored, found.repeated) == (110, 110, 100, 10)
    assert stored(world, "app_session") == 100


def test_two_windows_are_pulled_by_themselves_in_any_order(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=300, purchases=0)
    warehouse.execute("UPDATE opened SET at = at - interval '8 weeks' WHERE id <= 100")
    earlier = world.window.previous()
    assert pulled(only("session")).kinds["session"].stored == 200
    assert pulled(only("session"), earlier).kinds["session"].stored == 100
    assert pulled(only("session")).kinds["session"].stored == 200
    assert stored(world, "app_session") == 300


def test_wrong_rows_are_rejected_by_the_reasons_of_the_service(world, warehouse, pulled):
    at = world.window.start + timedelta(days=1)
    for number, client, total in [("a", 1, 5), (None, 1, 5), ("", 1, 5), ("b", None, 5), ("c", 0, 5), ("d", 1, None),
                                  ("e", 1, -1), ("f", 1, "99999999999"), ("g" * 101, 1, 5)]:  # fmt: skip
        warehouse.execute("INSERT INTO orders VALUES (%s, %s, %s, %s)", number, client, at.replace(tzinfo=None), total)
    warehouse.execute("INSERT INTO orders VALUES ('h', 1, %s, 1.999)", at.replace(tzinfo=None))
    warehouse.execute("INSERT INTO orders VALUES ('i', 1, %s, 'NaN')", at.replace(tzinfo=None))
    found = pulled(only("purchase")).kinds["purchase"]
    assert found.rejected == {"invalid_amount": 5, "missing_customer": 2, "missing_event_id": 3}
    assert (found.counted, found.read, found.stored) == (11, 11, 1)
    assert world.rows("SELECT customer_id, purchased_at, amount_cents FROM purchase") == [(1, at, 500)]


def test_rows_of_another_time_than_asked_for_are_counted_and_left_out(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=80, purchases=0)
    warehouse.execute("INSERT INTO opened SELECT id + 1000, client, at + interval '8 weeks' FROM opened WHERE id <= 10")
    careless = SESSIONS.replace("at < :until", "(at < :until OR true)")
    found = pulled({"session": {"query": careless}}).kinds["session"]
    assert found.stored == stored(world, "app_session") == 80
    assert found.outside == 8 * 10


def test_rows_that_come_after_a_pull_of_nothing_but_others_are_read(world, warehouse, pulled):
    careless = {"session": {"query": SESSIONS.replace("at < :until", "(at < :until OR true)")}}
    warehouse.execute("INSERT INTO opened VALUES (1, 1, %s)", world.window.end)
    assert pulled(careless).kinds["session"].outside == 8
    warehouse.execute("INSERT INTO opened VALUES (2, 1, %s)", world.window.start)
    found = pulled(careless).kinds["session"]
    assert (found.counted, found.read, found.stored, stored(world, "app_session")) == (9, 9, 1, 1)


def test_a_query_may_end_in_a_comment(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=80, purchases=0)
    found = pulled({"session": {"query": f"{SESSIONS} -- of the app"}}).kinds["session"]
    assert found.counted == found.stored == 80


def test_two_pulls_at_once_take_turns(world, warehouse, monkeypatch):
    warehouse.fill(world.window, sessions=1600, purchases=400)
    monkeypatch.setattr(query, "CHUNK", 70)
    at_work, count = [], Slice.count
    monkeypatch.setattr(Slice, "count", lambda one: at_work.append(id(one.connection)) or count(one))
    with ThreadPoolExecutor() as pool:
        source = lambda: Warehouse(warehouse.url).source()  # noqa: E731
        runs = [pool.submit(pull, world.engine, world.window, source(), as_of=world.now) for _ in range(2)]
        first, second = (run.result() for run in runs)
    assert first == second
    assert at_work == sorted(at_work, key=at_work.index), "one after the other"
    assert len({*at_work}) == 2
    assert [stored(world, table) for table in ("app_session", "purchase")] == [1600, 400]


def test_refunds_are_pulled_too_and_one_of_nothing_is_rejected(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=0, purchases=10)
    warehouse.execute("UPDATE orders SET total = 0 WHERE number = 'o1'")
    found = pulled({"refund": DEFINITION["purchase"]}).kinds["refund"]
    assert found == PulledKind(10, 10, 9, 0, {"invalid_amount": 1})
    assert world.value("SELECT sum(amount_cents) FROM refund") == sum(n * 25 for n in range(2, 11))


# --- the campaign


def extracted(world, warehouse, options=None, definition=DEFINITION, **settings):
    chosen = validate(UNGUARDED | {"source": "warehouse"} | settings)
    asked = []

    def source(name):
        asked.append(name)
        return warehouse.source(definition, name)

    frame = {"as_of": world.now, "run_id": "r", "options": options or RunOptions(), "source": source}
    return extract(world.engine, world.window, chosen, **frame), asked


def test_extract_pulls_before_it_counts_and_the_campaign_keeps_what_it_pulled(world, warehouse):
    for _ in range(3):
        world.customer()
    warehouse.fill(world.window, sessions=300, purchases=70)
    done, asked = extracted(world, warehouse)
    assert asked == ["warehouse"]
    assert done.events == {"sessions": 300, "purchases": 70}
    assert done.pulled == (
        "warehouse: session: pulled 300, the source says 300: 300 stored; "
        "purchase: pulled 70, the source says 70: 70 stored"
    )
    with world.engine.connect() as conn:
        found = campaign.find(conn, world.window)
    assert found.pulled.kinds["purchase"] == PulledKind(counted=70, read=70, stored=70)
    assert found.settings.source == "warehouse"


@pytest.mark.parametrize("options", [RunOptions(dry_run=True), RunOptions(backfill=True)], ids=["dry run", "backfill"])
def test_a_run_that_texts_no_customer_pulls_too(world, warehouse, options):
    world.customer()
    warehouse.fill(world.window, sessions=30, purchases=7)
    assert extracted(world, warehouse, options)[0].events == {"sessions": 30, "purchases": 7}


def test_a_frozen_campaign_is_not_pulled_for(world, warehouse):
    world.customer()
    warehouse.fill(world.window, sessions=30, purchases=7)
    extracted(world, warehouse)
    world.execute(sa.text("UPDATE campaign SET frozen_at = opened_at"))
    warehouse.execute("INSERT INTO opened VALUES (9001, 7, %s)", world.window.start)
    done, asked = extracted(world, warehouse)
    assert (done.frozen, asked, stored(world, "app_session")) == (True, [], 30)


def test_without_the_setting_no_source_is_asked(world, warehouse):
    world.sessions(world.customer())
    assert extracted(world, warehouse, source="")[1] == []
    with world.engine.connect() as conn:
        assert campaign.find(conn, world.window).pulled is None


def test_the_guard_stops_a_campaign_with_rows_that_were_not_read(world, warehouse, monkeypatch):
    """As if the driver had lost some: the source counts more than it gives, each time."""
    world.customer()
    warehouse.fill(world.window, sessions=300, purchases=70)
    counted = Slice.count
    monkeypatch.setattr(Slice, "count", lambda one: counted(one) + (one.kind == "session"))
    with pytest.raises(GuardStop, match=r"the source warehouse has 308 rows of session, and Engage has read 300"):
        extracted(world, warehouse)
    done, _ = extracted(world, warehouse, RunOptions(ignore_guard=True))
    assert "has read 300" in done.guard
    assert stored(world, "app_session") == 300


def test_a_source_that_changes_during_a_reading_is_read_again(world, warehouse, pulled, monkeypatch):
    warehouse.fill(world.window, sessions=800, purchases=0)
    late, chunks = iter([9001, 9002]), Slice.chunks

    def add(one):
        for number in late:
            warehouse.execute("INSERT INTO opened VALUES (%s, 7, %s)", number, one.since)
            break

    def grown(one):
        add(one)
        yield from chunks(one)
        add(one)

    monkeypatch.setattr(Slice, "chunks", grown)
    assert pulled(only("session")).kinds["session"] == PulledKind(counted=802, read=802, stored=802)


def test_nothing_is_read_twice_once_the_event_ids_are_forgotten(world, warehouse, pulled):
    warehouse.fill(world.window, sessions=80, purchases=0)
    pulled(only("session"))
    warehouse.execute("INSERT INTO opened VALUES (9001, 7, %s)", world.window.start)
    later = pulled(only("session"), as_of=world.now + KEEP).kinds["session"]
    assert (later.counted, later.read, later.stored) == (81, 80, 80)
    assert stored(world, "app_session") == 80


def test_rows_come_in_chunks_with_a_cursor_on_the_server(world, warehouse, pulled, monkeypatch):
    monkeypatch.setattr(query, "CHUNK", 70)
    sizes, chunks = [], Slice.chunks
    monkeypatch.setattr(Slice, "chunks", lambda one: ((sizes.append(len(c[1])), c)[1] for c in chunks(one)))
    warehouse.fill(world.window, sessions=1600, purchases=0)
    assert pulled(only("session")).kinds["session"].stored == 1600
    assert sizes == [70, 70, 60] * 8
    assert part.CHUNK == 50_000


# --- mistakes of configuration


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT id, at FROM opened WHERE at >= :since AND at < :until",
         "The query for session of the source warehouse has no column event_id, customer_id, occurred_at, which "
         "session needs; it has id, at."),
        ("SELECT no FROM opened WHERE at >= :since AND at < :until", 'refuses the query for session: column "no" does'),
        ("SELECT FROM WHERE :since :until", "refuses the query for session: syntax error"),
        (SESSIONS.replace("client AS", "client::text AS"),
         "the column customer_id holds str, and customer_id of session takes a whole number. Cast it in the query"),
        (SESSIONS.replace("at AS", "at::date AS"), "column occurred_at holds date, and occurred_at of session takes"),
        (SESSIONS.replace("id AS", "1.5::float AS"), "column event_id holds float, and event_id of session takes text"),
    ],
)  # fmt: skip
def test_a_wrong_query_is_one_sentence(world, warehouse, pulled, sql, sentence):
    warehouse.fill(world.window, sessions=8, purchases=0)
    with pytest.raises(SourceError) as raised:
        pulled({"session": {"query": sql}})
    assert sentence in str(raised.value)
    assert stored(world, "app_session") == 0


def test_a_missing_column_shows_without_any_event_too(pulled):
    with pytest.raises(SourceError, match="has no column event_id"):
        pulled({"session": {"query": SESSIONS.replace("event_id", "other")}})


def test_a_login_that_is_refused_is_one_sentence(world, warehouse):
    warehouse.url = warehouse.url.replace("/postgres?", "/nowhere?")
    with pytest.raises(SourceError, match=r"The source warehouse does not let Engage in: .*\"nowhere\" does not exist"):
        pull(world.engine, world.window, warehouse.source(), as_of=world.now)


def test_a_network_that_fails_is_left_to_the_retries(world, warehouse):
    warehouse.url = "postgresql://postgres@127.0.0.1:9/postgres"
    with pytest.raises(Exception, match="onnection") as raised:
        pull(world.engine, world.window, warehouse.source(), as_of=world.now)
    assert not isinstance(raised.value, SourceError)
