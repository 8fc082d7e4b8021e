"""Print both error rates of the classifier of customers' texts by language: ``python -m tests.corpus [FILE.tsv]``."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.corpus.error_rates import FILE, error_rates, examples, is_wrong


def main() -> None:
    """Print a table of the languages, and each text that is classified wrongly."""
    found = examples(Path(sys.argv[1]) if sys.argv[1:] else FILE)
    table = Table("language", "stops", "missed", "%", "other texts", "false stops", "%")
    for language in [*dict.fromkeys(example.language for example in found), "all"]:
        rates = error_rates([example for example in found if language in (example.language, "all")])
        missed = (f"{rates.stops:,}", f"{rates.missed:,}", f"{rates.miss_percent:.1f}")
        false_stops = (f"{rates.others:,}", f"{rates.false_stops:,}", f"{rates.false_stop_percent:.1f}")
        table.add_row(language, *missed, *false_stops, end_section=language == "all")
    console = Console()
    console.print(table)
    for example in filter(is_wrong, found):
        console.print(f"{example.language}: {example.text!r} is {example.right}", markup=False)


if __name__ == "__main__":
    main()
