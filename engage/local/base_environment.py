"""What the local stack takes from the caller's shell, so that nothing else there decides how it runs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT = {
    "LD_LIBRARY_PATH",  # this Python may need them
    "DYLD_LIBRARY_PATH",
    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY",  # macOS: the scheduler forks
    "SSL_CERT_FILE",  # a company's own certificates and its proxy, on the way to the SMS provider
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "AWS_ACCESS_KEY_ID",  # the login of the archive
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
}


def base_variables() -> dict[str, str]:
    """Variables that every process of the stack runs with, instead of the caller's."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("ENGAGE_")}
    return kept | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
        "USER": "engage",  # Airflow asks for a name, which not every user of a container has
        "LOGNAME": "engage",
    }


def proxy_variables() -> dict[str, str]:
    """The caller's proxy for HTTPS, which the SMS provider may be behind; never for this machine.

    Proxies of other kinds are left out, since Airflow's HTTP client fails on those that it does not know.
    """
    proxy = _either("HTTPS_PROXY")
    if not re.match(r"(https?://)?[^/\s]+/?$", proxy, re.ASCII):
        return {}
    exceptions = [name for name in _either("NO_PROXY").split(",") if re.fullmatch(r"[\w.*-]+(:\d+)?", name, re.ASCII)]
    no_proxy = ",".join([*exceptions, "127.0.0.1", "localhost"])
    return {
        name: value
        for upper, value in (("HTTPS_PROXY", proxy), ("NO_PROXY", no_proxy))
        for name in (upper, upper.lower())
    }


def _either(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.lower()) or ""


@contextmanager
def without_libpq_variables() -> Iterator[None]:
    """Hide the caller's ``PG…`` variables, which would send this process to another server or change its sessions."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    try:
        yield
    finally:
        os.environ.update(hidden)
