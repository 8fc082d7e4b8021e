"""The folder that holds all files of the local stack: databases, logs and secrets."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engage.errors import LocalError

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
        path = Path(os.environ.get("ENGAGE_HOME") or CHECKOUT / ".engage")
        try:
            path = path.expanduser().resolve()
        except RuntimeError as exc:  # ~ without HOME, or of a user that is not there
            raise LocalError(f"ENGAGE_HOME is {path}, and there is no such home: {exc}. Give the whole path.") from exc
        return cls(path, port, service_port)

    @property
    def named(self) -> str:
        """The folder, and how it came to be this one."""
        named = os.environ.get("ENGAGE_HOME")
        return f"{self.path}, {'which ENGAGE_HOME names' if named else 'the default without ENGAGE_HOME'}"

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

    @property
    def archive(self) -> Path:
        """The archive of the demonstration with Spark."""
        return self.path / "archive"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    def make(self) -> None:
        """Make the folder and those above it, each with the same mode whatever the caller's umask is.

        Raises:
            LocalError: the file system refuses.
        """
        try:
            for above in reversed(self.path.parents):
                make_folder(above, 0o755)
            make_folder(self.path, 0o711)  # as root, another user runs Postgres and has to pass through
            for folder in (self.airflow, self.logs, self.temporary):
                make_folder(folder)
        except OSError as exc:
            raise LocalError(self.unusable(exc)) from exc

    def unusable(self, exc: OSError) -> str:
        """The sentence for an error that the file system gives for this folder."""
        return f"The folder {self.path} cannot be used: {exc}. Set ENGAGE_HOME to a folder that you may write to."

    @property
    def used(self) -> bool:
        """Whether a command has had data here. A folder of another program is not touched, whatever it is named."""
        return (self.path / "lock").exists()

    def holds(self, file: object) -> bool:
        """Whether an error's file is this folder or lies in it."""
        return isinstance(file, str) and Path(file).is_relative_to(self.path)

    def secret(self, name: str) -> str:
        """A secret of this folder, generated at its first use."""
        file = self.path / "secrets.json"
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(12 if name == "password" else 32)
            write_json(file, known)
        return str(known[name])

    def remove(self) -> None:
        """Delete the stack's files, and the folder too if it is then empty."""
        for name in ("postgres", "postgres.draft", "airflow", "archive", "logs", "tmp"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("secrets.json", "processes.json", "lock"):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder that is not there, with exactly this mode."""
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(mode)


def write_json(file: Path, content: object) -> None:
    """Write a file that only its owner may read, atomically: a reader never sees half of it."""
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2), encoding="utf-8")
    draft.replace(file)


def tail(file: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) if file.exists() else ""
