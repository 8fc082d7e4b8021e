"""How often the classifier of customers' texts is wrong on ``opt_out.tsv``, by language.

The file was written by us, with no text copied from anywhere. A ``\\n`` in a text is a line break.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from engage.statuses import TextClass
from engage.texts.opt_out_words import classify

FILE = Path(__file__).with_name("opt_out.tsv")
STOPS = {TextClass.STOP, TextClass.REVOCATION}


@dataclass(frozen=True)
class Example:
    """A text, its BCP 47 language, and its right class."""

    text: str
    language: str
    right: TextClass


@dataclass(frozen=True)
class ErrorRates:
    """Texts that ask us to stop and were missed, and others that were taken for a stop."""

    stops: int
    missed: int
    others: int
    false_stops: int

    @property
    def miss_percent(self) -> float:
        return 100 * self.missed / self.stops

    @property
    def false_stop_percent(self) -> float:
        return 100 * self.false_stops / self.others


def examples(file: Path = FILE) -> list[Example]:
    """The lines of a file with the columns text, language and class."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Example(row["text"].replace("\\n", "\n"), row["language"], TextClass(row["class"])) for row in rows]


def is_wrong(example: Example) -> bool:
    """Whether a stop is missed, or another text is taken for one."""
    return (classify(example.text) in STOPS) != (example.right in STOPS)


def error_rates(found: list[Example]) -> ErrorRates:
    """Both error rates of some examples."""
    counts = Counter((example.right in STOPS, is_wrong(example)) for example in found)
    return ErrorRates(
        stops=counts[True, True] + counts[True, False],
        missed=counts[True, True],
        others=counts[False, True] + counts[False, False],
        false_stops=counts[False, True],
    )
