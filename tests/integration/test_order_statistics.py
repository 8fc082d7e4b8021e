"""The number of a share is the exact order statistic, as a sort finds it, however the rows lie and tie."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from engage.campaigns.order_statistics import FEW, resolve
from engage.segments import relative
from engage.segments.relative import Side
from engage.window import Window

SHARES = ("lowest 0.01%", "lowest 20%", "highest 10%", "highest 99.99%", "lowest 1", "lowest 5000", "highest 77")
ROWS = sa.Table(
    "many",
    sa.MetaData(),
    sa.Column("total_spend_cents", sa.BigInteger, nullable=False),
    sa.Column("purchases", sa.BigInteger, nullable=False),
    sa.Column("previous_total_spend_cents", sa.BigInteger),
    sa.Column("last_purchase_at", sa.DateTime(timezone=True)),
)
SPREAD = """(exp(9 + 1.2 * sqrt(-2 * ln(1 - random())) * cos(6.283 * random())))::bigint"""
LAYOUTS = {
    "mixed, a third of them at 0": f"CASE WHEN random() < 0.33 THEN 0 ELSE {SPREAD} END",
    "sorted, so that a sample of pages is far off": "n / 50",
    "all the same": "700",
}
VALUES = {
    "total_spend": "total_spend_cents::numeric / 100",
    "average_purchase": "CASE WHEN purchases > 0 THEN total_spend_cents::numeric / 100 / purchases END",
    "spend_change": "CASE WHEN previous_total_spend_cents > 0 THEN "
    "100.0 * (total_spend_cents - previous_total_spend_cents) / previous_total_spend_cents END",
    "days_since_last_purchase": "floor(extract(epoch FROM :end - last_purchase_at) / 86400)",
}


@pytest.fixture
def fill(engine: sa.Engine, window: Window) -> Callable[[int, str], sa.Connection]:
    """Makes rows of which a part has no purchase and no window before."""
    conn = engine.connect()

    def make(number: int, spend: str) -> sa.Connection:
        conn.execute(sa.text("SELECT setseed(0.5)"))
        conn.execute(
            sa.text(
                f"CREATE TEMPORARY TABLE many AS SELECT {spend} AS total_spend_cents, "
                "floor(random() * 4)::bigint AS purchases, "
                "CASE WHEN n % 3 > 0 THEN (random() * 20000)::bigint END AS previous_total_spend_cents, "
                "CASE WHEN n % 4 > 0 THEN :end - random() * INTERVAL '56 days' END AS last_purchase_at "
                "FROM generate_series(1::bigint, :number) AS n"
            ),
            {"number": number, "end": window.end},
        )
        return conn

    yield make
    conn.close()


def compare(conn: sa.Connection, window: Window, field: str, share: str, number: int) -> None:
    """Find a share's number, and check it and its counts by a sort."""
    asked = relative.read(share)
    found = resolve(conn, ROWS, window.end, field, asked, customers=number)
    up = asked.side is Side.LOWEST
    query = f"""
        WITH known AS (SELECT {VALUES[field]} AS value FROM many), counted AS (SELECT count(value) AS known FROM known),
        at AS (SELECT value FROM known WHERE value IS NOT NULL
               ORDER BY value {"ASC" if up else "DESC"} OFFSET :asked LIMIT 1)
        SELECT (SELECT known FROM counted), (SELECT value FROM at),
               count(*) FILTER (WHERE value {"<" if up else ">"} (SELECT value FROM at)),
               count(*) FILTER (WHERE value = (SELECT value FROM at)) FROM known"""
    known, value, within, ties = conn.execute(sa.text(query), {"asked": found.asked, "end": window.end}).one()
    assert found.asked == asked.asked(known)
    assert float(found.number) == float(value)
    assert (found.known, found.within, found.ties) == (known, within, ties)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("field", VALUES)
def test_it_is_what_a_sort_finds(fill, window, layout, field):
    conn = fill(FEW + 10_000, LAYOUTS[layout])
    for share in SHARES:
        compare(conn, window, field, share, FEW + 10_000)


@pytest.mark.deep
@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_what_a_sort_finds_among_a_million_customers(fill, window, layout):
    conn = fill(1_000_000, LAYOUTS[layout])
    for field in ("total_spend", "days_since_last_purchase"):
        for share in SHARES:
            compare(conn, window, field, share, 1_000_000)


def test_quotients_that_differ_by_less_than_a_computer_number_can_tell_are_in_their_order(engine, window):
    """Two averages of which a double cannot tell the difference: 10**16 / 3 and the next greater quotient."""
    averages = [(10**16, 3), (3 * 10**16 + 1, 9), (10**16 + 1, 3)]
    with engine.begin() as conn:
        conn.execute(sa.text("CREATE TEMPORARY TABLE many (total_spend_cents bigint, purchases bigint)"))
        for spend, purchases in averages:
            conn.execute(
                sa.text("INSERT INTO many VALUES (:spend, :purchases)"), {"spend": spend, "purchases": purchases}
            )
        for place, asked in enumerate(("lowest 1", "lowest 2"), start=1):
            found = resolve(conn, ROWS, window.end, "average_purchase", relative.read(asked), customers=3)
            spend, purchases = averages[place]
            assert found.number * 100 * purchases == spend
            assert (found.within, found.ties) == (place, 1)


def test_of_rows_in_the_order_of_the_field_few_keys_are_fetched(fill, window):
    """There a sample of whole blocks is often far off."""
    number, fetched = 200_000, []
    conn = fill(number, "n")
    sa.event.listen(conn, "after_cursor_execute", lambda _, cursor, *__: fetched.append(cursor.rowcount))
    for share in ("lowest 20%", "lowest 35%", "lowest 50%", "highest 30%", "highest 10%"):
        assert resolve(conn, ROWS, window.end, "total_spend", relative.read(share), customers=number).ties == 1
    assert max(fetched) < number / 5
