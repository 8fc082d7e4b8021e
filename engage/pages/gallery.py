"""Every macro in every state on one page, for contributors."""

from __future__ import annotations

from engage.pages.render import html
from engage.pages.viewer import Viewer


def gallery(viewer: Viewer) -> str:
    """The HTML of the gallery."""
    return html("gallery.html", viewer=viewer)
