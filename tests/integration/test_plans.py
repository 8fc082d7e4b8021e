"""How Postgres goes about the large statements: window by window, piece by piece."""

import re

import pytest
import sqlalchemy as sa

from engage.campaigns import valid_events
from engage.customers.synthetic import Behaviour
from engage.steps.aggregate import activity
from engage.steps.seed import seed
from engage.storage import connection
from engage.storage.partitions import HASH_MODULUS
from engage.storage.schema import LOG_TIMES
from engage.window import Window
from tests.integration.conftest import NOW, World

KEY = b"k" * 32


@pytest.fixture(scope="module")
def seeded(server):
    """Two windows with enough events for the planner to care, and its statistics."""
    with server.clone("installed") as url:
        world = World(connection.connect(url), Window.last_complete(NOW))
        for window in (world.window.previous(), world.window):
            seed(world.engine, window, 4000, 1, hash_key=KEY, behaviour=Behaviour(sessions_per_week=10))
        world.execute(sa.text("INSERT INTO app_event SELECT customer_id, started_at, 'viewed', 'pie' FROM app_session"))
        with world.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(sa.text("ANALYZE"))
        yield world
        world.engine.dispose()


def plan(world, statement):
    """Every node of the plan with the settings of a step, as (node, its parent)."""
    compiled = statement.compile(dialect=world.engine.dialect, compile_kwargs={"render_postcompile": True})
    with world.engine.begin() as conn:
        connection.tune(conn)
        conn.execute(sa.text("SET LOCAL max_parallel_workers_per_gather = 0"))  # how many work does not matter here
        top = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}", compiled.params).scalar_one()[0]["Plan"]
    nodes = []

    def walk(node, parent):
        nodes.append((node, parent))
        for child in node.get("Plans", []):
            walk(child, node)

    walk(top, None)
    return nodes


def scanned(nodes):
    return [node["Relation Name"] for node, _ in nodes if "Relation Name" in node]


def test_the_aggregate_reads_each_piece_of_its_window_once_and_of_no_other(seeded):
    pieces = [f"{t.name}_{seeded.window.key}_{leaf:02}" for t in LOG_TIMES for leaf in range(HASH_MODULUS)]
    assert sorted(scanned(plan(seeded, activity(seeded.window)))) == sorted([*pieces, "customer"])


def test_without_refunds_the_aggregate_does_not_look_for_them(seeded):
    assert not [name for name in scanned(plan(seeded, activity(seeded.window, refunded=False))) if "refund" in name]


def test_the_aggregate_groups_piece_by_piece(seeded):
    nodes = plan(seeded, activity(seeded.window, refunded=False))
    grouped = [
        node["Plans"][0]["Relation Name"]
        for node, _ in nodes
        if node["Node Type"] == "Aggregate" and node.get("Partial Mode", "Simple") == "Simple"
    ]
    assert len(grouped) == len(set(grouped)) == (len(LOG_TIMES) - 1) * HASH_MODULUS


def test_the_aggregate_compares_no_timestamps(seeded):
    filters = " ".join(node.get("Filter", "") for node, _ in plan(seeded, activity(seeded.window, refunded=False)))
    assert "amount_cents" in filters
    assert not re.search("started_at|purchased_at|occurred_at", filters)


def test_counting_the_window_reads_no_other(seeded):
    statements = []
    with seeded.engine.begin() as conn:
        sa.event.listen(conn, "before_execute", lambda conn, statement, *rest: statements.append(statement))
        valid_events.count_window(conn, seeded.window)
    reads = [scanned(plan(seeded, statement)) for statement in statements]
    assert sorted(map(len, reads)) == [1, 1, HASH_MODULUS, HASH_MODULUS]  # nobody's events lie in one piece
    assert all(seeded.window.key in relation for relations in reads for relation in relations)
