"""Does work in several processes, and returns what each piece of it comes to in order.

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
from typing import Any, TypeVar

W = TypeVar("W")
D = TypeVar("D")


def done(work: Callable[[W], D], pieces: Iterable[W], processes: int, *, lost: str) -> Iterator[D]:
    """What each piece comes to, in the order of the pieces. One piece alone, or one process, is worked off right here.

    ``work`` is a function of a module, or a partial of one. ``lost``: the sentence for a worker that has ended.
    """
    waiting = iter(pieces)
    first = next(waiting, None)
    second = next(waiting, None)
    if first is None:
        return
    if second is None or processes <= 1:
        yield work(first)
        del first
        if second is not None:
            yield work(second)
        yield from map(work, waiting)
        return
    with ExitStack() as running:
        workers = [running.enter_context(_worker(work, lost)) for _ in range(processes)]
        busy: deque[_Worker] = deque()
        for worker, piece in zip(workers, (first, second), strict=False):
            worker.send(piece)
            busy.append(worker)
        idle = deque(workers[2:])
        for piece in waiting:
            if idle:
                worker = idle.popleft()
                worker.send(piece)
                busy.append(worker)
                continue
            worker = busy.popleft()
            found = worker.receive()
            worker.send(piece)
            busy.append(worker)
            yield found
        while busy:
            yield busy.popleft().receive()


class _Worker:
    """The parent's end of a worker's pipe."""

    def __init__(self, pipe: Any, lost: str) -> None:
        self._pipe = pipe
        self._lost = lost

    def send(self, what: object) -> None:
        with self._alive():
            self._pipe.send(what)

    def receive(self) -> Any:
        with self._alive():
            found = self._pipe.recv()
        if isinstance(found, Exception):
            raise found
        return found

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Raises a RuntimeError if the worker has ended. Its EOFError would be taken for one of the work."""
        try:
            yield
        except (EOFError, OSError):
            raise RuntimeError(self._lost) from None


@contextmanager
def _worker(work: Callable[[Any], Any], lost: str) -> Iterator[_Worker]:
    mine, theirs = Pipe()
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with mine:
        process = subprocess.Popen(
            [sys.executable, "-m", "engage.worker_processes", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )
        theirs.close()
        try:
            worker = _Worker(mine, lost)
            worker.send(work)
            yield worker
        finally:
            mine.close()
            process.terminate()
            process.wait()


def _work(pipe: Any) -> None:
    """Work off pieces until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, and with it the pipe
    try:
        work = pipe.recv()
        while True:
            piece = pipe.recv()
            try:
                found = work(piece)
            except Exception as exc:  # noqa: BLE001 - the parent raises it
                found = exc
            pipe.send(found)
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as _pipe:
        _work(_pipe)
