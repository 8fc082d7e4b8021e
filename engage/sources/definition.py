"""What a connection says about its events: a query or a path for each kind of event, validated.

It stands in the connection's extra, which only administrators edit::

    {"engage": {"session": {"query": "SELECT … WHERE opened_at >= :since AND opened_at < :until"},
                "purchase": {"path": "s3://bucket/purchases/", "columns": {"customer_id": "client"}}}}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engage.errors import SourceError
from engage.sources.event_rows import FIELDS

TIME_FORMAT = "%Y-%m-%d %H:%M:%S+00:00"
FORMATS = {"parquet": (".parquet", ".pq"), "json_lines": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")}
"""The formats of files, each with the endings of their names."""

_BOUND = re.compile(r"(?<!:):(since|until)\b")


@dataclass(frozen=True)
class Query:
    """A query for the events of one kind, from ``:since`` to before ``:until``."""

    sql: str
    columns: Mapping[str, str]
    """The source's name of each field that has another name there."""
    time_format: str

    @property
    def fingerprint(self) -> str:
        """It changes with the definition."""
        return _digest(self.sql, self.columns, self.time_format)

    def between(self, since: datetime, until: datetime) -> str:
        """The query for a part of the time. The times stand in it as text, which each database reads as its own type.

        A driver's parameters would have to be written in another way for each database.
        """
        bounds = {"since": since, "until": until}
        return _BOUND.sub(lambda match: f"'{bounds[match[1]].strftime(self.time_format)}'", self.sql)


@dataclass(frozen=True)
class Files:
    """A folder, or a prefix in an object store, of files with the events of one kind."""

    path: str
    columns: Mapping[str, str]
    format: str

    @property
    def fingerprint(self) -> str:
        """It changes with the definition, but for the path."""
        return _digest(self.columns, self.format)


Definition = Query | Files


def definitions(name: str, given: object) -> dict[str, Definition]:
    """The definition of each kind of event, of the entry ``engage`` in the extra of the connection ``name``.

    Raises:
        SourceError: there is no such entry, or something in it is not allowed.
    """
    if given is None:
        raise SourceError(
            f"The connection {name} is no source of events: its extra has no entry engage. An administrator adds one, "
            "as docs/sources.md shows, or engage_source names another connection."
        )
    if not isinstance(given, dict) or not given:
        raise _wrong(name, "engage", f"holds {_shown(given)}", f"an object with some of {', '.join(FIELDS)}")
    return {kind: _definition(name, kind, one) for kind, one in given.items()}


def _definition(name: str, kind: str, given: object) -> Definition:
    if kind not in FIELDS:
        raise _wrong(name, "engage", f"names {kind[:40]!r}", f"some of {', '.join(FIELDS)}")
    if not isinstance(given, dict) or ("query" in given) == ("path" in given):
        raise _wrong(name, kind, f"holds {_shown(given)}", "an object with either query or path")
    known = {"query", "columns", "time_format"} if "query" in given else {"path", "columns", "format"}
    if unknown := sorted(set(given) - known):
        raise _wrong(name, kind, f"holds {unknown[0][:40]!r}", ", ".join(sorted(known)))
    columns = _columns(name, kind, given.get("columns", {}))
    if "path" in given:
        return Files(_text(name, kind, given, "path"), columns, _format(name, kind, given))
    return _query(name, kind, given, columns)


def _query(name: str, kind: str, given: dict[str, Any], columns: Mapping[str, str]) -> Query:
    sql = _text(name, kind, given, "query").strip().rstrip(";").rstrip()
    if {"since", "until"} - {*_BOUND.findall(sql)}:
        raise _wrong(name, f"{kind}.query", f"is {sql[:80]!r}", "a query with the bounds :since and :until")
    time_format = _text(name, kind, {"time_format": TIME_FORMAT} | given, "time_format")
    return Query(sql, columns, time_format)


def _format(name: str, kind: str, given: dict[str, Any]) -> str:
    found = given.get("format", "parquet")
    if found not in FORMATS:
        raise _wrong(name, f"{kind}.format", f"is {_shown(found)}", " or ".join(FORMATS))
    return str(found)


def _columns(name: str, kind: str, given: object) -> Mapping[str, str]:
    if isinstance(given, dict) and set(given) <= set(FIELDS[kind]) and all(isinstance(v, str) for v in given.values()):
        return given
    allowed = f"an object that gives the source's names of some of {', '.join(FIELDS[kind])}"
    raise _wrong(name, f"{kind}.columns", f"is {_shown(given)}", allowed)


def _text(name: str, kind: str, given: dict[str, Any], key: str) -> str:
    found = given[key]
    if isinstance(found, str) and found.strip():
        return found
    raise _wrong(name, f"{kind}.{key}", f"is {_shown(found)}", "a text")


def _wrong(name: str, place: str, found: str, allowed: str) -> SourceError:
    return SourceError(
        f"In the extra of the connection {name}, {place} {found}; it takes {allowed}. docs/sources.md has examples."
    )


def _shown(value: object) -> str:
    return json.dumps(value, default=repr)[:80]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
