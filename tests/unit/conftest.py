from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import structlog

from tests.unit.command_line import Answer

hypothesis.settings.register_profile("engage", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("engage")


@pytest.fixture
def engage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Answer]]:
    """Run a command line as ``engage`` does, in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    root = logging.getLogger()
    log_handlers, log_level, structlog_config = root.handlers[:], root.level, structlog.get_config()

    def call(*arguments: str) -> Answer:
        from engage.cli import main

        monkeypatch.setattr(sys, "argv", ["engage", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return Answer(int(ended.value.code or 0), *capsys.readouterr())

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.handlers[:] = log_handlers  # a command's own write to this test's stderr, which is closed by now
    root.setLevel(log_level)
    structlog.configure(**structlog_config)
