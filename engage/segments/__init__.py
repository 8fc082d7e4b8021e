"""Segments: the rules that put each customer in a segment. No other room knows how a rule is written or decided.

``rules`` reads them, ``fields`` says what they may compare, ``sql`` and ``matching`` decide, and ``words`` says why.
"""

from engage.segments.fields import FIELDS, Field, Unit
from engage.segments.matching import matches, segment_of
from engage.segments.reading import SEGMENT_NAME, THRESHOLD_NAME, masked, parse, read
from engage.segments.rules import DEFAULT, AnyOf, Condition, Not, Operator, Rules, Segment

__all__ = [
    "DEFAULT",
    "FIELDS",
    "SEGMENT_NAME",
    "THRESHOLD_NAME",
    "AnyOf",
    "Condition",
    "Field",
    "Not",
    "Operator",
    "Rules",
    "Segment",
    "Unit",
    "masked",
    "matches",
    "parse",
    "read",
    "segment_of",
]
