"""How the service's log looks: lines for a person on a terminal, JSON everywhere else, on standard error."""

from __future__ import annotations

import logging
import sys

import structlog


def configure() -> None:
    """Set the format of every logger in this process, structlog's and the standard library's."""
    terminal = sys.stderr.isatty()
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal)
    shared: list[structlog.typing.Processor] = [structlog.processors.add_log_level, stamp]
    shown: list[structlog.typing.Processor] = (
        # other formatters of exceptions show variables, which may hold phone numbers
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *shown],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown]
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
