"""Where the archive is: a folder, or an object store such as S3."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pyarrow as pa
from pyarrow import fs

from engage.errors import ArchiveError

VARIABLE = "ENGAGE_ARCHIVE_URL"
_SCHEMES = ("file", "s3", "gs")
_ALLOWED = "file:///folder, s3://bucket/folder or gs://bucket/folder"
_SECRET = re.compile(r"(^|&)[^=&]*(access|key|secret|session|token|password)[^=&]*=", re.I)
_TROUBLES = {
    r"NO_SUCH_BUCKET|bucket .*(does not exist|not found)": "there is no such bucket. Make it, or correct the name",
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|Permission|Forbidden|Unauthenticated|credential": (
        "the login lacks a right there. Let it list, read, write and delete below the URL, and give the login in the "
        "standard environment of the store, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ),
    r"NETWORK_CONNECTION|curl|timed? ?out|resolve|refused": "it does not answer. Check the network and the URL's host",
    r"No space left|Disk quota": "its disk is full. Make room",
    r"Read-only": "it is read-only. Let this user write there",
}
"""What the libraries say, and what it means for the operator."""


@dataclass(frozen=True)
class Place:
    """A folder of a filesystem. ``path`` is written as the filesystem writes it."""

    filesystem: Any
    path: str

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def __str__(self) -> str:
        return self.path

    def of(self, *names: str) -> str:
        """The path of something below the folder."""
        return "/".join((self.path, *names))

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raises an ArchiveError for anything that the filesystem refuses. A missing file is a FileNotFoundError."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise ArchiveError(f"The archive {self} cannot be used: {_meaning(exc)}. ({exc})") from None

    def require(self) -> None:
        """Make sure that the folder, or the bucket, is there. A folder is not made: its disk may not be mounted.

        Raises:
            ArchiveError: it is not there, or cannot be reached.
        """
        root = self.path if self.local else self.path.partition("/")[0]
        with self.reached():
            found = self.filesystem.get_file_info(root)
        if found.type != fs.FileType.Directory:
            what = "folder. Make it, or mount its disk" if self.local else "bucket. Make it, or correct the name"
            raise ArchiveError(f"{VARIABLE} names {root}, and there is no such {what}.")


def place_of(url: str) -> Place:
    """The place that a URL names. Nothing is read or written yet.

    Raises:
        ArchiveError: it is no URL of a folder or an object store, or it holds a password.
    """
    if holds_login(url):
        raise ArchiveError(
            f"{VARIABLE} holds a login, which logs would show. Leave it out, and set the store's own variables, "
            "such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if _parts(url).scheme not in _SCHEMES:
        raise ArchiveError(f"{VARIABLE} is {url[:200]!r}, which is no URL of an archive. It takes {_ALLOWED}.")
    try:
        filesystem, path = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError) as exc:
        raise ArchiveError(f"{VARIABLE} is {url!r}, which cannot be read: {exc}. It takes {_ALLOWED}.") from None
    if not path.strip("/"):
        raise ArchiveError(f"{VARIABLE} is {url!r}, which names no folder or bucket. It takes {_ALLOWED}.")
    return Place(filesystem, path.rstrip("/"))


def holds_login(url: str) -> bool:
    """Whether a URL has a password or a key in it, of whatever store. Such a URL must not get into a log."""
    parts = _parts(url)
    return "@" in (parts.netloc if parts.scheme else url) or bool(_SECRET.search(parts.query))


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def configured() -> Place | None:
    """The place that the environment variable ENGAGE_ARCHIVE_URL names, or None if it is not set.

    Raises:
        ArchiveError: it names no place.
    """
    url = os.environ.get(VARIABLE)
    return place_of(url) if url else None


def required() -> Place:
    """As ``configured``, for a command that needs an archive.

    Raises:
        ArchiveError: ENGAGE_ARCHIVE_URL is not set, or names no place.
    """
    if found := configured():
        return found
    raise ArchiveError(f"There is no archive, as {VARIABLE} is not set. It takes {_ALLOWED}.")


def _meaning(exc: OSError) -> str:
    fitting = (words for pattern, words in _TROUBLES.items() if re.search(pattern, str(exc), re.I))
    return next(fitting, "the store refuses it")
