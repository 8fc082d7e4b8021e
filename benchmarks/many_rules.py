"""Ten segments of four conditions each, over every field that is a number: what rules of the staff cost at most."""

from __future__ import annotations

import json

from engage.segments import FIELDS, Unit
from engage.settings import Settings, validate

SEGMENTS, CONDITIONS = 10, 4
_TYPICAL = {"total_spend": 10, "average_purchase": 60, "previous_total_spend": 300, "sessions": 70, "spend_change": 40}
_FIELDS = [name for name, field in FIELDS.items() if field.unit is not Unit.SEGMENT]


def _lines(segment: int) -> list[str]:
    fields = (_FIELDS[(segment * CONDITIONS + n) % len(_FIELDS)] for n in range(CONDITIONS))
    return [f"{name} > {_TYPICAL.get(name, 9) + segment}" for name in fields]


RULES = {"segments": [{"name": f"SEGMENT_{n}", "when": _lines(n)} for n in range(SEGMENTS)], "otherwise": "NONE"}


def many_rules() -> Settings:
    """The default settings with these rules."""
    return validate({"segments": json.dumps(RULES)})
