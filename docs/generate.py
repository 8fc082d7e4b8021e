"""Write the generated parts of the documentation: ``python -m docs.generate``.

A part stands between ``<!-- name:begin -->`` and ``<!-- name:end -->``. A unit test fails if a part is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engage import settings
from engage.segments import fields
from engage.texts import template

ROOT = Path(__file__).resolve().parents[1]
PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/operations.md": {"settings": settings.markdown_table},
    "docs/segments.md": {"fields": fields.markdown_table, "placeholders": template.markdown_table},
}
"""For each page, its generated parts by name, and the function that writes each."""


def generated(page: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """The text ``page`` with every part written anew.

    Raises:
        ValueError: a marker is missing, or stands there twice.
    """
    for name, write in parts.items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"The page has to have {begin.strip()} and {end} once each.")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}{write()}\n{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    for name, parts in PARTS.items():
        path = ROOT / name
        path.write_text(generated(path.read_text(), parts))
