"""The page that is seen while another one is being made."""

from __future__ import annotations

from engage.pages.render import html
from engage.pages.viewer import Viewer


def opening(address: str, *, in_run: bool = False) -> str:
    """The HTML of an outline that goes on to ``address`` at once, also without a script."""
    return html("opening.html", viewer=Viewer(), address=address, in_run=in_run)
