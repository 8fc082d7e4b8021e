"""The user that the embedded Postgres runs as: the caller, or pgserver for root, as which Postgres refuses to run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from engage.errors import LocalError
from engage.local import as_postgres_user

NAME = "pgserver"


def command(program: list[str], folders: list[Path]) -> list[str]:
    """The command line that runs ``program`` as this user. It needs ``folders``, wherever they are."""
    if os.geteuid() != 0:
        return program
    user = _pgserver()
    start = [sys.executable, "-I", as_postgres_user.__file__, str(user.pw_uid), str(user.pw_gid)]
    return [*start, *map(str, folders), "--", *program]


def give(folder: Path) -> None:
    """Make the user the owner of an empty folder."""
    if os.geteuid() == 0:
        os.chown(folder, _pgserver().pw_uid, _pgserver().pw_gid)


def let_read(folder: Path) -> None:
    """Let the user read and run the programs below ``folder``, which root has installed, perhaps with umask 077."""
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            mode = path.stat().st_mode
            wanted = mode | 0o444 | (0o111 if mode & 0o100 else 0)
            if mode != wanted:
                path.chmod(wanted)


def _pgserver() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        pass
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false"]
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    said = "there is no useradd here"
    if useradd:
        said = subprocess.run([useradd, *options, NAME], check=False, capture_output=True, text=True).stderr.strip()
    try:
        return pwd.getpwnam(NAME)  # also if another process has made it meanwhile
    except KeyError:
        raise LocalError(
            f"Postgres refuses to run as root, and the user {NAME} cannot be made for it: {said}. Make that user, or "
            "run this as another user than root."
        ) from None
