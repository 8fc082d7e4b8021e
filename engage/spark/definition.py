"""What the connection to Spark says: the server, where the files are, and a foreign lake's names of columns.

It is a connection of the type ``spark_connect``. Only administrators edit it. Its extra may hold::

    {"archive": "s3a://chain/events", "columns": {"app_session": {"customer_id": "client", "started_at": "opened"}}}
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from engage.archive.columns import LOGS
from engage.archive.place import holds_login
from engage.errors import SparkError

PORT = 15002
"""Where a server of Spark Connect listens unless it is told otherwise."""
USER = "engage"
_KNOWN = frozenset({"archive", "archive_here", "shared_folder", "columns", "token", "use_ssl"})


@dataclass(frozen=True)
class Definition:
    """The server of Spark, and the archive or lake.

    ``archive``: its URL as the server sees it. ``archive_here``: as this process sees it, with its options.
    ``columns``: for each log of a foreign lake, the names of columns that differ there; None for Engage's own archive.
    """

    host: str
    archive: str
    archive_here: str
    port: int = PORT
    user: str = USER
    token: str | None = field(default=None, repr=False)
    use_ssl: bool = False
    columns: Mapping[str, Mapping[str, str]] | None = None

    @property
    def server(self) -> str:
        """The server for a sentence."""
        return f"{self.host}:{self.port}"

    def url(self, session: str) -> str:
        """The connection string of a session, for the client. It holds the token."""
        parts = {"user_id": self.user, "session_id": session}
        if self.token:
            parts["token"] = self.token
        elif self.use_ssl:
            parts["use_ssl"] = "true"
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = (f"{name}={quote(value, safe='')}" for name, value in parts.items())
        return f"sc://{host}:{self.port}/;{';'.join(options)}"

    @classmethod
    def of(
        cls,
        name: str,
        *,
        host: str | None,
        port: int | None = None,
        login: str | None = None,
        password: str | None = None,
        extra: Mapping[str, Any],
        archive: str | None,
    ) -> Definition:
        """The definition in the connection ``name``; ``archive`` is ENGAGE_ARCHIVE_URL, the default of the extra's.

        Raises:
            SparkError: something is missing, or not allowed.
        """
        if unknown := sorted(set(extra) - _KNOWN):
            raise _wrong(name, f"has the entry {unknown[0][:40]!r}", f"some of {', '.join(sorted(_KNOWN))}")
        plain = (host or "").removeprefix("sc://").strip("/[]")
        if not (re.fullmatch(r"[\w.-]+", plain) or _is_address(plain)):
            raise SparkError(
                f"The connection {name} has the host {_shown(host)}; it takes the name or the address of a server of "
                "Spark Connect, such as spark.example.com, and the port in its own field."
            )
        named, here = _text(name, extra, "archive"), _text(name, extra, "archive_here")
        for key, url in (("archive", named), ("archive_here", here)):
            if holds_login(url):
                raise _wrong(name, f"has a login in {key}", "a URL without one")
        seen = _without_options(named or archive or "").rstrip("/")
        if not seen:
            raise SparkError(
                f"Spark has no archive to read: neither the connection {name} has archive in its extra, nor is "
                "ENGAGE_ARCHIVE_URL set. Set one to the URL of the archive or the lake, such as s3://chain/events."
            )
        here = here or (archive if archive and _same(seen, archive) else named)
        _refuse_folder_of_another_machine(name, plain, seen, shared=_switch(name, extra, "shared_folder"))
        return cls(
            host=plain,
            port=port or PORT,
            user=login or USER,
            token=password or _text(name, extra, "token") or None,
            use_ssl=_switch(name, extra, "use_ssl"),
            archive=seen,
            archive_here=here.replace("s3a://", "s3://", 1),
            columns=_columns(name, extra["columns"]) if "columns" in extra else None,
        )


def _refuse_folder_of_another_machine(name: str, host: str, archive: str, *, shared: bool) -> None:
    if archive.startswith("file:") and not shared and not _is_this_machine(host):
        raise SparkError(
            f"The archive {archive} is a folder of this machine, and the server of Spark is {host}, another one. Put "
            f"the archive in an object store; or, if {host} has the very folder at the same path, say so with "
            f'"shared_folder": true in the extra of the connection {name}.'
        )


def _is_this_machine(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback if _is_address(host) else host == "localhost"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _same(seen: str, archive: str) -> bool:
    """Whether both URLs name one place; a server of Spark may call s3 s3a."""
    one, other = (_without_options(url).replace("s3a://", "s3://", 1).rstrip("/") for url in (seen, archive))
    return one == other


def _without_options(url: str) -> str:
    return urlsplit(url)._replace(query="").geturl()


def _columns(name: str, given: object) -> Mapping[str, Mapping[str, str]]:
    if not isinstance(given, dict):
        raise _wrong(name, f"has the columns {_shown(given)}", f"an object with some of {', '.join(LOGS)}")
    for log, names in given.items():
        if log not in LOGS:
            raise _wrong(name, f"has columns of {log[:40]!r}", f"some of {', '.join(LOGS)}")
        known = {column.name for column in LOGS[log].columns}
        if not isinstance(names, dict) or set(names) - known or not all(isinstance(v, str) for v in names.values()):
            allowed = f"an object that gives the lake's names of some of {', '.join(sorted(known))}"
            raise _wrong(name, f"has for {log} the columns {_shown(names)}", allowed)
    return given


def _text(name: str, extra: Mapping[str, Any], key: str) -> str:
    found = extra.get(key, "")
    if isinstance(found, str):
        return found.strip()
    raise _wrong(name, f"has the {key} {'(not shown)' if key == 'token' else _shown(found)}", "a text")


def _switch(name: str, extra: Mapping[str, Any], key: str) -> bool:
    found = str(extra.get(key, "false")).lower()
    if found in {"true", "false"}:
        return found == "true"
    raise _wrong(name, f"has the {key} {_shown(found)}", "true or false")


def _wrong(name: str, found: str, allowed: str) -> SparkError:
    return SparkError(f"The extra of the connection {name} {found}; it takes {allowed}. docs/spark.md has examples.")


def _shown(value: object) -> str:
    return json.dumps(value, default=repr)[:80]
