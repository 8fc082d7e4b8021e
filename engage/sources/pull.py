"""Pull a window's events from a source, each exactly once.

A part that is read, and has not changed since, is not read again. Every chunk of rows is one transaction with the
claim of its event ids and the part's row. So a pull that is killed loses no row, and one that reads rows again adds
none. Event ids expire, so nothing more is read for a window long after its first pull. The guard says what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from engage.campaigns.pulled import Pulled, PulledKind
from engage.sources import reading
from engage.sources.part import Part
from engage.sources.reading import Errand, Kept
from engage.sources.source import Source
from engage.storage.event_ids import KEEP
from engage.window import Window

log = logging.getLogger(__name__)

READABLE = KEEP - timedelta(days=1)
"""How long after a window's first pull its source may be read again. A day later its event ids expire."""
_TURN = 0x736F7572  # "sour"


def pull(engine: sa.Engine, window: Window, source: Source, *, as_of: datetime) -> Pulled:
    """Read what is missing of the window's events. Two pulls from one source take turns.

    Raises:
        SourceError: the source is defined wrongly, or refuses what it is asked.
    """
    errand = Errand(engine, source.name, window, as_of)
    with _turn(engine, source.name):
        try:
            kinds = {kind: _total([*_parts(errand, source, kind)]) for kind in source.definitions}
        finally:
            source.close()
    return Pulled(source.name, kinds)


@contextmanager
def _turn(engine: sa.Engine, name: str) -> Iterator[None]:
    """Wait for the pull of another run, and hold back further ones. A killed process gives its turn away."""
    with engine.begin() as conn:
        lock = sa.func.pg_advisory_xact_lock(sa.cast(_TURN, sa.Integer), sa.func.hashtext(name))
        conn.execute(sa.select(lock))
        yield


def _parts(errand: Errand, source: Source, kind: str) -> Iterator[PulledKind]:
    """The counts of each part with events of the window."""
    known = reading.kept(errand, kind)
    began = min((one.began_at for one in known.values() if one.here), default=errand.as_of)
    readable = began > errand.as_of - READABLE
    if not readable:
        log.warning(
            "The first pull of %s from the source %s for this window was on %s. Engage has forgotten the event ids of "
            "then, so it reads nothing more.",
            kind,
            source.name,
            f"{began:%Y-%m-%d}",
        )
    for part in source.parts(kind, errand.window):
        kept = known.get(part.name)
        if not _elsewhere(part, kept, errand.window):
            yield _current(errand, part, kept if kept and kept.here else None, readable=readable)


def _elsewhere(part: Part, kept: Kept | None, window: Window) -> bool:
    """Whether the part has no event of the window, as far as that is known without reading it."""
    if not part.fixed:  # it may have one by now
        return False
    was_read = kept is not None and kept.finished and kept.version == part.version
    span = kept.span if kept and was_read else part.span()
    return span is not None and (span[1] < window.start or span[0] >= window.end)


def _current(errand: Errand, part: Part, kept: Kept | None, *, readable: bool) -> PulledKind:
    """The part's counts, after a reading if one is due."""
    rows = kept.rows if kept else PulledKind()
    done = kept is not None and kept.finished and kept.version == part.version and rows.read == rows.counted
    if done and part.fixed:
        return rows
    counted = part.count()
    if done and counted == rows.counted:
        return rows
    if not readable:
        return replace(rows, counted=counted)
    found = reading.read(errand, part, counted)
    log.info("%s, %s of %s: %s", errand.source, part.name, part.kind, found.words)
    return found


def _total(parts: list[PulledKind]) -> PulledKind:
    reasons = sorted({reason for one in parts for reason in one.rejected})
    return PulledKind(
        counted=sum(one.counted for one in parts),
        read=sum(one.read for one in parts),
        stored=sum(one.stored for one in parts),
        outside=sum(one.outside for one in parts),
        rejected={reason: sum(one.rejected.get(reason, 0) for one in parts) for reason in reasons},
    )
