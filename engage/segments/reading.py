"""Reads rules as an operator writes them: JSON of segments, each condition one short line.

The author of a rule may be anyone who can edit an Airflow Variable, so everything is bounded: the length of the text,
the number of segments and conditions, the depth, and the size of a number.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import NoReturn

from engage import parsing
from engage.segments import relative
from engage.segments.fields import FIELDS, Field, Unit
from engage.segments.rules import AnyOf, Condition, Node, Not, Operator, Rules, Segment

MAX_TEXT = 20_000
MAX_SEGMENTS = 20
MAX_CONDITIONS = 20
"""Most conditions of one segment, at all depths together."""
MAX_DEPTH = 3
LARGEST = Decimal(10) ** 9
NAME_FORM = "a name of 1 to 30 capital letters, digits and _ that starts with a letter, such as LAPSING"

SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,29}")
_LINE = re.compile(r"\s*([^\s<>=!]+)\s*([<>=!]+)\s*([^\s<>=!]\S*)\s*")
_SHARE_LINE = re.compile(r"\s*([^\s<>=!]+)\s+[iI][nN]\s+(\S.*)", re.DOTALL)
_COMPARED_SHARE = re.compile(r"\s*([^\s<>=!]+)\s*[<>=!]+\s*((?:lowest|highest)\b.*)", re.DOTALL | re.IGNORECASE)
_LONGEST_LINE = 200
_NUMBER = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,6})?")
THRESHOLD_NAME = re.compile(r"[a-z][a-z0-9_]{0,48}_threshold")
_MASKED = (
    "access_key", "access_token", "api_key", "apikey", "auth_header", "authorization", "bearer", "connection_string",
    "dsn", "keyfile_dict", "passphrase", "passwd", "password", "private_key", "proxies", "proxy", "proxy_password",
    "secret", "service_account", "service_key", "token", "webhook_url",
)  # fmt: skip
"""Airflow's DEFAULT_SENSITIVE_FIELDS; a test compares the two."""
_EXAMPLE = '{"segments": [{"name": "BOOST", "when": ["total_spend < low_spend_threshold"]}], "otherwise": "NONE"}'
_OPERATORS = ", ".join(one for one in Operator if one is not Operator.IN)


def parse(text: str) -> Rules:
    """The rules in a JSON text.

    Raises:
        ValueError: names the segment and the line that is wrong, and what is allowed.
    """
    return read(parsing.json_text(text, MAX_TEXT))


def read(found: object) -> Rules:
    """The rules in parsed JSON, as ``parse`` reads them."""
    if not isinstance(found, dict) or set(found) - {"segments", "otherwise"} or "segments" not in found:
        raise ValueError(f"it is an object of segments and otherwise, such as {_EXAMPLE}")
    listed, otherwise = found["segments"], found.get("otherwise", "NONE")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SEGMENTS:
        many = f"{len(listed):,}" if isinstance(listed, list) else "no list"
        raise ValueError(f'"segments" is a list of 1 to {MAX_SEGMENTS} segments, and it has {many}')
    segments = tuple(_segment(one, number) for number, one in enumerate(listed, 1))
    _require_name(otherwise, '"otherwise"')
    _require_unique([*(segment.name for segment in segments), otherwise])
    return Rules(segments=segments, otherwise=otherwise)


def condition(line: str) -> Condition:
    """One comparison, written ``field operator value``.

    Raises:
        ValueError: what is wrong with the line, and what is allowed.
    """
    short = len(line) <= _LONGEST_LINE
    if short and (parts := _SHARE_LINE.fullmatch(line)):
        name, value = parts.groups()
        return Condition(field=_ordered(name, Operator.IN).name, operator=Operator.IN, value=_share(value))
    if short and (parts := _COMPARED_SHARE.fullmatch(line)):
        raise ValueError(f"a share of the customers goes with in, such as {_cut(parts[1])} in lowest 20%")
    if not short or not (parts := _LINE.fullmatch(line)):
        raise ValueError("a condition is a field, an operator and a value, such as liked > 0")
    name, sign, value = parts.groups()
    if sign not in set(Operator):
        _ordered(name, Operator.EQUAL)  # a wrong name comes first
        raise ValueError(f"{_cut(sign)} is no operator; the operators are {_OPERATORS}")
    operator = Operator(sign)
    return Condition(field=name, operator=operator, value=_value(_ordered(name, operator), value))


def _ordered(name: str, operator: Operator) -> Field:
    """The field of this name, which the operator may compare."""
    if name not in FIELDS:
        raise ValueError(f"{_cut(name)} is no field{_meant(name, FIELDS)}; the fields are {', '.join(FIELDS)}")
    if not FIELDS[name].ordered and operator not in {Operator.EQUAL, Operator.UNEQUAL}:
        raise ValueError(f"{name} is a name, and takes = or !=")
    return FIELDS[name]


def _share(text: str) -> relative.Relative:
    try:
        return relative.read(text)
    except ValueError as exc:
        raise ValueError(f"{exc}; in takes {relative.FORMS}") from None


def _value(field: Field, text: str) -> Decimal | str:
    if field.unit is Unit.SEGMENT:
        if not SEGMENT_NAME.fullmatch(text):
            raise ValueError(f"{_cut(text)} is not the name of a segment, which is {NAME_FORM}")
        return text
    if THRESHOLD_NAME.fullmatch(text):
        _require_shown(text)
        return text
    if not _NUMBER.fullmatch(text) or abs(Decimal(text)) > LARGEST:
        raise ValueError(
            f"{_cut(text)} is neither a number nor a threshold; a value is a plain number from -1000000000 to "
            "1000000000 with at most 6 decimals, or a name that ends in _threshold, such as low_spend_threshold"
        )
    return Decimal(text)


def _segment(found: object, number: int) -> Segment:
    where = f"segment {number}"
    if not isinstance(found, dict) or set(found) != {"name", "when"}:
        raise ValueError(f'{where} is an object of name and when, such as {{"name": "BOOST", "when": ["liked > 0"]}}')
    name = found["name"]
    _require_name(name, where)
    if not isinstance(found["when"], list):
        raise ValueError(f'segment {name}: "when" is a list of conditions')
    when = _Reader(f"segment {name}").nodes(found["when"], 0)
    return Segment(name=name, when=when)


class _Reader:
    """Reads one segment's conditions, and counts them."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._count = 0

    def nodes(self, found: object, depth: int) -> tuple[Node, ...]:
        listed = found if isinstance(found, list) else [found]
        if not listed:
            self._refuse('it has no condition; for all customers write "sessions >= 0"')
        return tuple(self._node(one, depth) for one in listed)

    def _node(self, found: object, depth: int) -> Node:
        if isinstance(found, str):
            return self._condition(found)
        if not isinstance(found, dict) or len(found) != 1 or not set(found) <= {"any", "not"}:
            self._refuse(
                f'{_cut(json.dumps(found))} is no condition; allowed are a line such as "liked > 0", '
                '{"any": [...]} and {"not": [...]}'
            )
        if depth == MAX_DEPTH:
            self._refuse(f"its conditions are nested deeper than {MAX_DEPTH}")
        [(kind, inner)] = found.items()
        return (AnyOf if kind == "any" else Not)(conditions=self.nodes(inner, depth + 1))

    def _condition(self, line: str) -> Condition:
        self._count += 1
        if self._count > MAX_CONDITIONS:
            self._refuse(f"it has more than {MAX_CONDITIONS} conditions")
        try:
            return condition(line)
        except ValueError as exc:
            self._refuse(f"condition {self._count} ({_cut(line)!r}): {exc}")

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(f"{self._where}: {why}")


def _require_name(name: object, where: str) -> None:
    if not isinstance(name, str) or not SEGMENT_NAME.fullmatch(name):
        raise ValueError(f"the name of {where} is {_cut(json.dumps(name))}, and it takes {NAME_FORM}")
    _require_shown(name)
    _require_free(name)


def masked(name: str) -> str | None:
    """The word in a name for which Airflow hides a Variable's value; None if it shows it."""
    return next((word for word in _MASKED if word in name.lower()), None)


def _require_shown(name: str) -> None:
    if word := masked(name):
        raise ValueError(f"{name} is not allowed: Airflow shows *** for a Variable with {word!r} in its name")


def _require_free(name: str) -> None:
    if name == "BUDGET":
        raise ValueError("BUDGET is not allowed as a name: engage_message_budget is what a campaign may cost, no text")


def _require_unique(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two segments have the name {name}; each needs a name of its own")


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
