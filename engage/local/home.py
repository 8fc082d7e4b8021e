"""The folder that holds all files of the local stack: databases, logs and secrets."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
"""The root folder of the repository, with dags/ and plugins/."""


@dataclass(frozen=True)
class Home:
    """The local stack's folder, and the ports of Airflow's user interface and of the HTTP service."""

    path: Path
    port: int = 8080
    service_port: int = 8000

    @classmethod
    def default(cls, port: int = 8080, service_port: int = 8000) -> Home:
        path = Path(os.environ.get("ENGAGE_HOME") or CHECKOUT / ".engage").expanduser().resolve()
        return cls(path, port, service_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def service_url(self) -> str:
        return f"http://127.0.0.1:{self.service_port}"

    @property
    def airflow(self) -> Path:
        return self.path / "airflow"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def secret(self, name: str) -> str:
        """A secret of this folder, generated at its first use."""
        file = self.path / "secrets.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(12 if name == "password" else 32)
            write_json(file, known)
        return str(known[name])

    def remove(self) -> None:
        """Delete the stack's files, and the folder too if it is then empty."""
        for name in ("postgres", "airflow", "logs"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("secrets.json", "processes.json", "lock"):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


def write_json(file: Path, content: object) -> None:
    """Write a file that only its owner may read, atomically: a reader never sees half of it."""
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2))
    draft.replace(file)


def tail(file: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""
