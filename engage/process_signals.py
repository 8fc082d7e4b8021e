"""How Ctrl-C, SIGTERM and SIGHUP end a process that has started other processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_signals() -> None:
    """Make SIGTERM and SIGHUP end this process as Ctrl-C does, and Ctrl-C work even if the parent shell ignored it.

    An ignored SIGHUP stays ignored, as nohup demands.
    """
    for number in _ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold ending signals back while the block runs, and deliver the first of them at its end.

    A Ctrl-C still ends the programs that the block runs. The signal then replaces the error which that caused.
    """
    arrived: list[int] = []
    before = [signal.signal(number, lambda number, frame: arrived.append(number)) for number in _ENDING]
    try:
        yield
    finally:
        for number, handler in zip(_ENDING, before, strict=True):
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(signal.Signals(arrived[0]))


@contextmanager
def ignored() -> Iterator[None]:
    """Ignore ending signals while a short block stops what the first signal ended."""
    before = [signal.signal(number, signal.SIG_IGN) for number in _ENDING]
    try:
        yield
    finally:
        for number, handler in zip(_ENDING, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def interrupting() -> Iterator[None]:
    """Make SIGTERM end the block as Ctrl-C does, so that the block can clean up."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
