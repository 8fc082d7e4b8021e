"""The database and Python put each customer in the same segment, whatever the rules and the numbers are."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import sqlalchemy as sa

from engage.campaigns.history import SUMS
from engage.campaigns.order_statistics import resolve
from engage.segments import (
    FIELDS,
    AnyOf,
    Condition,
    Not,
    Operator,
    Relative,
    Resolved,
    Rules,
    Segment,
    Unit,
    relative,
    segment_of,
    sql,
)
from engage.segments.fields import NEVER, RETURN_FIELDS, value
from engage.segments.reading import condition
from engage.segments.relative import Side
from engage.segments.rules import ORDERING, Node
from engage.window import Window

END = Window.last_complete(datetime(2026, 11, 10, tzinfo=UTC)).end
DAY = timedelta(days=1)
NAMES = ("BOOST", "REWARD", "NONE", "LAPSING")
NUMBERS = [
    Decimal(text) for text in ("0", "1", "2.5", "28", "27.999999", "-1", "100", "99.99", "0.125", "0.1", "1000000000")
]
"""Few values, so that customers tie with them."""
STEPS = {Unit.AMOUNT: Fraction(1, 100), Unit.NUMBER: Fraction(1), Unit.DAYS: Fraction(1), Unit.PERCENT: Fraction(1)}
STEPS[Unit.SCORE] = Fraction(1)
SHARES = ("0.01%", "10%", "33.33%", "50%", "99%", "100%", "1", "7", "60", "119", "5000")
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
    if chance.random() < 0.2:
        return Condition(field=field.name, operator=Operator.IN, value=_relative(chance))
    operator = chance.choice([one for one in Operator if one is not Operator.IN])
    if operator in ORDERING and chance.random() < 0.2:
        return Condition(field=field.name, operator=operator, value=f"{field.name}_threshold")
    return Condition(field=field.name, operator=operator, value=chance.choice(NUMBERS))


def _relative(chance: random.Random) -> Relative:
    return relative.read(f"{chance.choice(list(Side))} {chance.choice(SHARES)}")


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
        known: dict[tuple[str, Relative], Resolved] = {}
        for _ in range(500):
            thresholds = {f"{name}_threshold": _relative(chance) for name in FIELDS}
            rules = _resolved(conn, _rules(chance), thresholds, rows, known)
            found = conn.execute(sa.select(*ROWS.c, sql.segment(rules, ROWS, END).label("segment"))).mappings().all()
            for row in found:
                expected = segment_of(rules, row, END)
                assert row["segment"] == expected, f"{rules.to_json()} {row}"
                seen[expected] += 1
    assert len(seen) > 5  # the rules do tell customers apart


def _resolved(
    conn: sa.Connection,
    rules: Rules,
    thresholds: dict[str, Relative],
    rows: Collection[Mapping[str, Any]],
    known: dict[tuple[str, Relative], Resolved],
) -> Rules:
    """The rules with the numbers that the database finds for their shares, each checked against a sort in Python."""
    found = {}
    for name, one in rules.shares(thresholds).items():
        share = (one.field, one.relative)
        if share not in known:
            known[share] = resolve(conn, ROWS, END, *share, customers=len(rows))
            assert known[share] == by_hand(*share, rows), f"{share} {known[share]}"
        found[name] = known[share]
    return rules.resolved(thresholds, found)


def by_hand(field: str, asked: Relative, rows: Collection[Mapping[str, Any]]) -> Resolved:
    """What a share becomes, by the definition: in order, the value after as many customers as the share asks for."""
    sign = 1 if asked.side is Side.LOWEST else -1
    values = (value(FIELDS[field], row, END) for row in rows)
    exact = (one for one in values if isinstance(one, Fraction) and one != NEVER)
    # a double stands for the shortest decimal that is read as it
    known = sorted(sign * (Fraction(str(float(one))) if FIELDS[field].real else one) for one in exact)
    wanted = asked.asked(len(known))
    if not known:
        return Resolved(Fraction(0), known=0, asked=0, within=0, ties=0)
    if wanted == len(known):
        step = Fraction(1, 8) if field == "avg_weekly_sessions" else STEPS[FIELDS[field].unit]
        return Resolved(sign * (known[-1] + step), known=wanted, asked=wanted, within=wanted, ties=0)
    following = known[wanted]
    return Resolved(
        sign * following,
        known=len(known),
        asked=wanted,
        within=sum(one < following for one in known),
        ties=known.count(following),
    )


@pytest.mark.parametrize("line", ["total_spend in lowest 40%", "days_since_last_purchase in highest 30"])
def test_who_is_in_a_share_is_not_more_than_it_asks_for_with_all_who_tie(engine: sa.Engine, line: str) -> None:
    """The other definition: a customer is in a share if all customers as far out, or further, fit into it."""
    chance = random.Random(3)
    rows = [_row(chance) for _ in range(100)]
    one = condition(line)
    assert isinstance(one.value, Relative)
    rules = Rules(segments=(Segment(name="IN", when=(one,)),), otherwise="OUT")
    with engine.begin() as conn:
        ROWS.create(conn)
        conn.execute(sa.insert(ROWS), rows)
        rules = _resolved(conn, rules, {}, rows, {})
    sign = 1 if one.value.side is Side.LOWEST else -1
    known = [found for row in rows if (found := value(FIELDS[one.field], row, END)) is not None and found != NEVER]
    for row in rows:
        own = value(FIELDS[one.field], row, END)
        as_far = sum(sign * each <= sign * own for each in known)  # type: ignore[operator]
        expected = own != NEVER and as_far <= one.value.asked(len(known))
        assert (segment_of(rules, row, END) == "IN") is expected
