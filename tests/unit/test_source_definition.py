"""What a connection's extra may say about a source of events; each mistake is one sentence."""

from datetime import UTC, datetime

import pytest

from engage.errors import SourceError
from engage.sources.definition import Files, Query, definitions

SQL = "SELECT * FROM opened WHERE at >= :since AND at < :until"


def test_a_query_and_a_path():
    found = definitions("w", {"session": {"query": f" {SQL}; "}, "purchase": {"path": "s3://b/p/"}})
    assert found["session"] == Query(SQL, {}, "%Y-%m-%d %H:%M:%S+00:00")
    assert found["purchase"] == Files("s3://b/p/", {}, "parquet")


def test_the_bounds_stand_in_the_query_as_text():
    query = Query("SELECT '50%' FROM t WHERE at::date > :since AND :since_x AND at < :until", {}, "%Y-%m-%d %H:%M:%S")
    since, until = datetime(2026, 9, 14, tzinfo=UTC), datetime(2026, 9, 21, 1, 2, 3, tzinfo=UTC)
    assert query.between(since, until) == (
        "SELECT '50%' FROM t WHERE at::date > '2026-09-14 00:00:00' AND :since_x AND at < '2026-09-21 01:02:03'"
    )


def test_the_fingerprint_changes_with_what_decides_the_rows():
    one = definitions("w", {"session": {"query": SQL}})["session"]
    others = [
        {"query": SQL + " AND x"},
        {"query": SQL, "columns": {"event_id": "id"}},
        {"query": SQL, "time_format": "%s"},
        {"path": "p"},
        {"path": "p", "format": "json_lines"},
    ]
    prints = {definitions("w", {"session": other})["session"].fingerprint for other in others}
    assert len({one.fingerprint, *prints}) == 6


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "The connection w is no source of events: its extra has no entry engage. An administrator adds one"),
        ([], "engage holds []; it takes an object with some of session, purchase"),
        ({}, "engage holds {}; it takes an object with some of session, purchase"),
        ({"sessions": {}}, "engage names 'sessions'; it takes some of session, purchase"),
        ({"session": SQL}, "it takes an object with either query or path"),
        ({"session": {}}, "session holds {}; it takes an object with either query or path"),
        ({"session": {"query": SQL, "path": "p"}}, "it takes an object with either query or path"),
        ({"session": {"query": SQL, "format": "parquet"}}, "session holds 'format'; it takes columns, query, time_"),
        ({"session": {"path": "p", "time_format": "x"}}, "session holds 'time_format'; it takes columns, format, path"),
        ({"session": {"query": 7}}, "session.query is 7; it takes a text"),
        ({"session": {"path": " "}}, 'session.path is " "; it takes a text'),
        ({"session": {"query": "SELECT 1 WHERE :since"}}, "a query with the bounds :since and :until"),
        ({"session": {"query": SQL.replace(":", "::")}}, "a query with the bounds :since and :until"),
        ({"session": {"path": "p", "format": "csv"}}, 'session.format is "csv"; it takes parquet or json_lines'),
        ({"session": {"path": "p", "columns": {"amount": "x"}}}, "the source's names of some of event_id, customer_id"),
        ({"session": {"path": "p", "columns": {"event_id": 1}}}, "the source's names of some of event_id, customer_id"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(given, sentence):
    with pytest.raises(SourceError) as raised:
        definitions("w", given)
    assert sentence in str(raised.value)
