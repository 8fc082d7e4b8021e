"""The answer to *Why was I texted?* as one file of HTML, to print or to send on. It needs no server."""

from __future__ import annotations

from engage.pages.render import html
from engage.reports.why import Explanation


def why_page(found: Explanation) -> str:
    """The HTML of an explanation, with its styles inside."""
    return html("why.html", found=found)
