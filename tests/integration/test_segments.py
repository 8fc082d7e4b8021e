"""The database and Python put each customer in the same segment, whatever the rules and the numbers are."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from engage.campaigns.history import SUMS
from engage.segments import FIELDS, AnyOf, Condition, Not, Operator, Rules, Segment, Unit, segment_of, sql
from engage.segments.fields import RETURN_FIELDS
from engage.segments.rules import Node
from engage.window import Window

END = Window.last_complete(datetime(2026, 11, 10, tzinfo=UTC)).end
DAY = timedelta(days=1)
NAMES = ("BOOST", "REWARD", "NONE", "LAPSING")
NUMBERS = [
    Decimal(text) for text in ("0", "1", "2.5", "28", "27.999999", "-1", "100", "99.99", "0.125", "0.1", "1000000000")
]
"""Few values, so that customers tie with them."""
ROWS = sa.Table(
    "row",
    sa.MetaData(),
    *(sa.Column(name, sa.BigInteger) for name in ("total_spend_cents", "sessions", "purchases")),
    *(sa.Column(name, sa.BigInteger) for name in ("viewed", "liked", "added_to_basket", "previous_total_spend_cents")),
    *(sa.Column(name, sa.BigInteger) for name in SUMS),
    *(sa.Column(f"{name}_at", sa.DateTime(timezone=True)) for name in ("first_purchase", "last_purchase")),
    *(sa.Column(f"{name}_at", sa.DateTime(timezone=True)) for name in ("last_session", "registered")),
    *(sa.Column(name, sa.Double) for name in RETURN_FIELDS),
    sa.Column("previous_segment", sa.Text),
    prefixes=["TEMPORARY"],
)


def _time(chance: random.Random) -> datetime | None:
    return chance.choice(
        [
            None,
            END - DAY * chance.randrange(60),  # whole days: a tie
            END - DAY * 28 + timedelta(microseconds=chance.choice((-1, 0, 1))),
            END - timedelta(microseconds=1),
            datetime(1, 1, 1, tzinfo=UTC),
        ]
    )


def _count(chance: random.Random) -> int:
    return chance.choice([0, 1, 2, 20, 28, 8 * 28, chance.randrange(100), 10**15])


def _row(chance: random.Random) -> dict[str, Any]:
    counts = {name: _count(chance) for name in ("sessions", "purchases", "viewed", "liked", "added_to_basket")}
    cents = [0, 1, 9999, 10000, 2800, chance.randrange(20_000), 10**17]
    times = {column.name: _time(chance) for column in ROWS.c if column.name.endswith("_at")}
    scores = {name: chance.choice([None, 0.0, 0.1, 0.125, 2.5000000000000004, 1.0, 100.0]) for name in RETURN_FIELDS}
    return (
        counts
        | times
        | scores
        | {
            "total_spend_cents": chance.choice(cents),
            "previous_total_spend_cents": chance.choice([None, *cents]),
            **{name: chance.choice([None, *cents]) for name in SUMS},
            "previous_segment": chance.choice([None, *NAMES]),
        }
    )


def _condition(chance: random.Random) -> Condition:
    field = chance.choice(list(FIELDS.values()))
    if field.unit is Unit.SEGMENT:
        operator = chance.choice([Operator.EQUAL, Operator.UNEQUAL])
        return Condition(field=field.name, operator=operator, value=chance.choice(NAMES))
    return Condition(field=field.name, operator=chance.choice(list(Operator)), value=chance.choice(NUMBERS))


def _node(chance: random.Random, depth: int = 0) -> Node:
    kind = chance.choice([Condition, Condition, AnyOf, Not]) if depth < 3 else Condition
    if kind is Condition:
        return _condition(chance)
    inner = tuple(_node(chance, depth + 1) for _ in range(chance.randrange(1, 4)))
    return AnyOf(conditions=inner) if kind is AnyOf else Not(conditions=inner)


def _rules(chance: random.Random) -> Rules:
    segments = [
        Segment(name=f"S{number}", when=tuple(_node(chance) for _ in range(chance.randrange(1, 4))))
        for number in range(chance.randrange(1, 6))
    ]
    return Rules(segments=tuple(segments), otherwise="NONE")


def test_sql_and_python_give_the_same_segment_for_500_random_rules(engine: sa.Engine) -> None:
    chance, seen = random.Random(17), Counter[str]()
    rows = [_row(chance) for _ in range(120)]
    with engine.begin() as conn:
        ROWS.create(conn)
        conn.execute(sa.insert(ROWS), rows)
        for _ in range(500):
            rules = _rules(chance)
            found = conn.execute(sa.select(*ROWS.c, sql.segment(rules, ROWS, END).label("segment"))).mappings().all()
            for row in found:
                expected = segment_of(rules, row, END)
                assert row["segment"] == expected, f"{rules.to_json()} {row}"
                seen[expected] += 1
    assert len(seen) > 5  # the rules do tell customers apart
