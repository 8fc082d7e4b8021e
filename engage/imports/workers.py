"""Reads chunks in several processes, and returns what they come to in order.

Each worker is a program of its own that shares nothing but a pipe, so it may be started from any process, and it ends
when the pipe does, also if its parent is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from engage.imports.rows import Chunk, Parsed

Read = Callable[[Chunk], Parsed]


def parsed(read: Read, chunks: Iterable[Chunk], processes: int) -> Iterator[Parsed]:
    """What each chunk comes to, in the order of the chunks. One chunk alone, or one process, is read right here."""
    waiting = iter(chunks)
    first = next(waiting, None)
    second = next(waiting, None)
    if first is None:
        return
    if second is None or processes <= 1:
        yield read(first)
        del first
        if second is not None:
            yield read(second)
        yield from map(read, waiting)
        return
    with ExitStack() as running:
        workers = [running.enter_context(_worker(read)) for _ in range(processes)]
        busy: deque[Any] = deque()
        for worker, chunk in zip(workers, (first, second), strict=False):
            _send(worker, chunk)
            busy.append(worker)
        idle = deque(workers[2:])
        for chunk in waiting:
            if idle:
                worker = idle.popleft()
                _send(worker, chunk)
                busy.append(worker)
                continue
            worker = busy.popleft()
            found = _received(worker)
            _send(worker, chunk)
            busy.append(worker)
            yield found
        while busy:
            yield _received(busy.popleft())


def _send(worker: Any, what: object) -> None:
    with _alive():
        worker.send(what)


def _received(worker: Any) -> Parsed:
    with _alive():
        found = worker.recv()
    if isinstance(found, Exception):
        raise found
    assert isinstance(found, Parsed)
    return found


@contextmanager
def _alive() -> Iterator[None]:
    """Raises a RuntimeError if the worker has ended. Its EOFError would be taken for one of the file."""
    try:
        yield
    except (EOFError, OSError):
        raise RuntimeError("A process that reads rows has ended, perhaps for want of memory. Import again.") from None


@contextmanager
def _worker(read: Read) -> Iterator[Any]:
    mine, theirs = Pipe()
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with mine:
        process = subprocess.Popen(
            [sys.executable, "-m", "engage.imports.workers", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )
        theirs.close()
        try:
            _send(mine, read)
            yield mine
        finally:
            mine.close()
            process.terminate()
            process.wait()


def _work(pipe: Any) -> None:
    """Read chunks until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, and with it the pipe
    try:
        read = pipe.recv()
        while True:
            chunk = pipe.recv()
            try:
                found = read(chunk)
            except Exception as exc:  # noqa: BLE001 - the parent raises it
                found = exc
            pipe.send(found)
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as _pipe:
        _work(_pipe)
