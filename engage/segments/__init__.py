"""Segments: the rules that put each customer in a segment. No other room knows how a rule is written or decided.

``reading`` reads them, ``fields`` says what they may compare, ``sql`` and ``matching`` decide, and ``words`` says why.
``relative`` has the shares of a window's customers that a rule may ask for, such as ``lowest 20%``.
"""

from engage.segments.fields import FIELDS, Field, Unit
from engage.segments.matching import matches, segment_of
from engage.segments.reading import SEGMENT_NAME, THRESHOLD_NAME, masked, parse, read
from engage.segments.relative import Relative, Resolved
from engage.segments.rules import DEFAULT, AnyOf, Condition, Not, Operator, Rules, Segment, Share

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
    "Relative",
    "Resolved",
    "Rules",
    "Segment",
    "Share",
    "Unit",
    "masked",
    "matches",
    "parse",
    "read",
    "segment_of",
]
