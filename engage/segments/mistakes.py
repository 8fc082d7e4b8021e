"""Finds every mistake in a draft of rules, each at the row that an editor shows, where ``reading`` stops at the first.

The rows of a segment are its comparisons in order, at every depth, counted from 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from engage.segments.reading import NAME_FORM, SEGMENT_NAME, condition, read


@dataclass(frozen=True)
class SegmentMistakes:
    """Sentences about one segment: its name, its conditions as a whole, and single ones by their row."""

    name: str = ""
    when: str = ""
    rows: dict[int, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.name or self.when or self.rows)


@dataclass(frozen=True)
class Mistakes:
    """Sentences about a draft, by segment in order; ``otherwise``: about that name; ``whole``: about no single one."""

    segments: tuple[SegmentMistakes, ...] = ()
    otherwise: str = ""
    whole: str = ""

    def __bool__(self) -> bool:
        return bool(self.otherwise or self.whole or any(self.segments))


def mistakes(found: object, thresholds: Collection[str]) -> Mistakes:
    """What is wrong with parsed JSON of rules. ``thresholds``: the settings that hold one."""
    if not _is_draft(found):
        return Mistakes(whole=_whole(found))
    assert isinstance(found, dict)
    names = [one["name"] for one in found["segments"]]
    otherwise = found.get("otherwise", "NONE")
    segments = tuple(
        SegmentMistakes(_name(one["name"], [*names[:number], otherwise]), *_conditions(one["when"], thresholds))
        for number, one in enumerate(found["segments"])
    )
    located = Mistakes(segments, _name(otherwise, ()))
    return located or Mistakes(segments, whole=_whole(found))


def _is_draft(found: object) -> bool:
    """Whether the JSON has the form that an editor sends, so that mistakes have a place."""
    segments = found.get("segments") if isinstance(found, dict) else None
    return isinstance(segments, list) and all(
        isinstance(one, dict) and set(one) == {"name", "when"} and isinstance(one["when"], list) for one in segments
    )


def _whole(found: object) -> str:
    try:
        read(found)
    except ValueError as exc:
        return _sentence(str(exc))
    return ""


def _name(name: object, others: Collection[object]) -> str:
    if not isinstance(name, str) or not SEGMENT_NAME.fullmatch(name):
        return f"It takes {NAME_FORM}."
    return f"Two segments have the name {name}. Each needs a name of its own." if name in others else ""


def _conditions(when: list[object], thresholds: Collection[str]) -> tuple[str, dict[int, str]]:
    """What is wrong with a segment's conditions as a whole, or else with single rows."""
    rows = {row: why for row, line in enumerate(_lines(when)) if (why := _row(line, thresholds))}
    if rows:
        return "", rows
    try:
        read({"segments": [{"name": "A", "when": when}], "otherwise": "B"})
    except ValueError as exc:
        return _sentence(str(exc).removeprefix("segment A: ")), {}
    return "", {}


def _lines(nodes: object, depth: int = 0) -> Iterator[str]:
    """The comparisons in a list of conditions, in order. What is nested absurdly deep is left to ``read``."""
    for node in nodes if isinstance(nodes, list) and depth < 10 else ():
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            for inner in node.values():
                yield from _lines(inner if isinstance(inner, list) else [inner], depth + 1)


def _row(line: str, thresholds: Collection[str]) -> str:
    try:
        threshold = condition(line).threshold
    except ValueError as exc:
        return _sentence(str(exc))
    if threshold and threshold not in thresholds:
        return f"There is no setting {threshold}. Add it, or write a number."
    return ""


def _sentence(why: str) -> str:
    return f"{why[:1].upper()}{why[1:]}."
