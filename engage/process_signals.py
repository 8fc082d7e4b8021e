"""What Ctrl-C, SIGTERM and SIGHUP do to a process that has started others."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does, and Ctrl-C even where the parent shell had it ignored.

    An ignored SIGHUP stays ignored: that is what nohup is for.
    """
    for number in _ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def deferred() -> Iterator[None]:
    """Let nothing end this process inside the block; what arrived is made good at its end, however that comes about.

    A Ctrl-C still ends the programs that the block runs: then it, and not their failure, is what happened.
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
    """Let a second Ctrl-C not keep the block from stopping what the first one ended; it is short."""
    before = [signal.signal(number, signal.SIG_IGN) for number in _ENDING]
    try:
        yield
    finally:
        for number, handler in zip(_ENDING, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def interrupting() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that it can leave everything in order."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
