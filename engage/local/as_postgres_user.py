"""Root starts the embedded Postgres with this script: it becomes the user pgserver, then the program.

The program's folders may lie below folders that are closed to that user, such as /root or a checkout made with umask
077. Their modes are the administrator's, so they stay. The program gets a view of the file system of its own instead,
where an empty folder stands in for the closed one and holds nothing but the program's folders, at their usual paths.

Arguments: user id, group id, the folders, ``--``, the program and its arguments. It imports nothing of Engage.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
NOT_A_VIEW = "Run this as another user than root, or choose a folder that every user may pass through."


def main(uid: int, gid: int, folders: list[Path], program: list[str]) -> None:
    """Replace this process with the program, run by user ``uid``."""
    os.setgroups([])
    closed = {place for folder in folders if (place := closed_place(folder, uid, gid))}
    if closed:
        try:
            own_view(closed, folders)
        except OSError as exc:
            places = ", ".join(map(str, sorted(closed)))
            sys.exit(f"The user that Postgres runs as may not pass through {places}: {exc}. {NOT_A_VIEW}")
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.chdir("/")
    os.execv(program[0], program)  # noqa: S606 - it is the embedded Postgres's


def closed_place(folder: Path, uid: int, gid: int) -> Path | None:
    """The uppermost of the folders above ``folder`` that the user may not pass through."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        above = reversed(folder.parents)
        return next((place for place in above if not os.access(place, os.X_OK, effective_ids=True)), None)
    finally:
        os.seteuid(0)
        os.setegid(0)


def own_view(closed: set[Path], folders: list[Path]) -> None:
    """Put an empty folder in place of each ``closed`` one, for this process only, and ``folders`` into it."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
        texts = [None if text is None else os.fsencode(text) for text in (source, str(target), kind, data)]
        if libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    handles = {folder: os.open(folder, os.O_PATH) for folder in folders}
    for place in closed:
        mount("none", place, "tmpfs", 0, "mode=755")
    os.umask(0o022)
    for folder, handle in handles.items():
        folder.mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{handle}", folder, None, MS_BIND | MS_REC)


if __name__ == "__main__":
    end = sys.argv.index("--")
    main(int(sys.argv[1]), int(sys.argv[2]), [Path(text) for text in sys.argv[3:end]], sys.argv[end + 1 :])
