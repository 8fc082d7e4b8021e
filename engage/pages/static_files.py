"""The files beside the pages: style sheet, scripts, icon. Each address holds a hash of the content.

So a browser may keep a file for ever, and asks for a new one as soon as a version changes it.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FOLDER = "static"
KEEP = "private, max-age=31536000, immutable"
"""The Cache-Control of a file: for ever, but not in a shared cache, because only users may read it."""


def names() -> list[str]:
    """The names of all files, such as ``page.css``."""
    return sorted(file.name for file in files("engage.pages").joinpath(FOLDER).iterdir() if _extension(file.name))


@cache
def content(name: str) -> str:
    """The text of a file."""
    return files("engage.pages").joinpath(FOLDER, name).read_text("utf-8")


@cache
def address(name: str) -> str:
    """The address of a file, relative to the pages, such as ``static/page.4f1c09ab.css``."""
    stem, _, extension = name.rpartition(".")
    return f"{FOLDER}/{stem}.{hashlib.sha256(content(name).encode()).hexdigest()[:12]}.{extension}"


def find(versioned: str) -> tuple[str, str] | None:
    """The text and media type of the file with this name and hash; None if no file has them, such as an older one."""
    for name in names():
        if address(name) == f"{FOLDER}/{versioned}":
            return content(name), MEDIA_TYPES[_extension(name)]
    return None


def _extension(name: str) -> str:
    extension = name.rpartition(".")[2]
    return extension if extension in MEDIA_TYPES else ""
