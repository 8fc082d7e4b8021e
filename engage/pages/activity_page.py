"""The page *Activity*: what happened, newest first, from the campaigns' records and Airflow's audit log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

import sqlalchemy as sa

from engage.errors import InputError
from engage.pages.audit_log import AuditEntry, Place
from engage.pages.audit_words import of_entry
from engage.pages.campaign_words import of_occurrence
from engage.pages.happenings import Happening, Kind
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports.activity import CampaignEvent, Occurrence, TriedText, occurrences, tried_texts

SHOWN = 50
"""Happenings on one page."""
SAME = timedelta(minutes=1)
"""A request and what came of it are at most this far apart."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"([0-9]{1,17})-([012])-([0-9]{1,12})")
_ALL = 2**62
"""More than the id of any entry of the log."""
_ANSWERED = {CampaignEvent.APPROVED, CampaignEvent.REJECTED}


class Position(NamedTuple):
    """Where a happening stands in the order of time. ``source``: 0 for campaigns, 1 the log, 2 test messages."""

    micros: int
    source: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Position:
        """The place that an address names.

        Raises:
            InputError: it names none.
        """
        if found := _PLACE.fullmatch(text):
            return cls(*map(int, found.groups()))
        raise InputError(f"{text[:40]!r} is not a place in the activity. Start again with the newest.")

    @property
    def in_log(self) -> Place:
        """The entries of the audit log that are older."""
        below = (0, self.number, _ALL)[self.source]
        return Place(self.at, below)

    @property
    def at(self) -> datetime:
        """The time of the place."""
        return _EPOCH + timedelta(microseconds=self.micros)

    def __str__(self) -> str:
        return "-".join(map(str, self))


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: one kind or all, one user or all, and from which place on."""

    kind: Kind | None = None
    user: str | None = None
    before: Position | None = None

    def address(self, **changed: object) -> str:
        """The address of the page with other values."""
        values = {"kind": self.kind, "by": self.user} | changed
        query = urlencode({name: str(value) for name, value in values.items() if value})
        return f"activity?{query}" if query else "activity"


def activity_page(
    engine: sa.Engine, viewer: Viewer, wanted: Wanted, entries: Sequence[AuditEntry] | None, *, as_of: datetime
) -> str:
    """The HTML of the page. ``entries``: one more than ``SHOWN`` of the audit log; None if the user may not read it."""
    with engine.connect() as conn:
        found = occurrences(conn) if wanted.kind in (None, Kind.CAMPAIGNS) else []
        tests = _tests(conn, wanted, as_of) if wanted.kind in (None, Kind.MESSAGES) else []
    every = [*_of_campaigns(found, entries or ()), *_of_log(found, entries or ()), *map(_of_test, tests)]
    merged = sorted(every, reverse=True, key=_place)
    if wanted.before:
        merged = [one for one in merged if one[0] < wanted.before]
    if wanted.user:
        merged = [(place, one) for place, one in merged if one is None or one.user == wanted.user]
    shown = [one for _, one in merged[:SHOWN] if one]
    return html(
        "activity.html",
        viewer=viewer,
        wanted=wanted,
        kinds=list(Kind),
        happenings=shown,
        readable=entries is not None,
        users=sorted({one.user for one in shown if one.user}),
        older=wanted.address(before=merged[SHOWN - 1][0]) if len(merged) > SHOWN else None,
    )


def _tests(conn: sa.Connection, wanted: Wanted, as_of: datetime) -> list[TriedText]:
    before = wanted.before.at if wanted.before else None
    return tried_texts(conn, limit=SHOWN + 1, as_of=as_of, before=before, by=wanted.user)


Placed = tuple[Position, Happening | None]
"""A happening with its place; None for an entry that is not about Engage."""


def _place(one: Placed) -> Position:
    return one[0]


def _of_campaigns(found: Iterable[Occurrence], entries: Sequence[AuditEntry]) -> Iterable[Placed]:
    resumes = [of_entry(one) for one in entries if one.event == "engage.resume"]
    for one in found:
        by_user = any(
            other and other.window == one.window and abs(other.at - one.at) < SAME
            for other in resumes
            if one.event is CampaignEvent.RESUMED
        )
        if not by_user:
            number = int(one.window.key) * 10 + list(CampaignEvent).index(one.event)
            yield _position(one.at, 0, number), of_occurrence(one)


def _of_log(found: Sequence[Occurrence], entries: Iterable[AuditEntry]) -> Iterable[Placed]:
    for one in entries:
        happening = of_entry(one)
        told = happening and any(_is_told_by(other, one, happening) for other in found)
        yield _position(one.at, 1, one.entry_id), None if told else happening


def _is_told_by(campaign: Occurrence, entry: AuditEntry, happening: Happening) -> bool:
    """Whether the campaign's own event says the same, with more."""
    if campaign.user != entry.user or abs(campaign.at - entry.at) >= SAME:
        return False
    if entry.event == "engage.halt":
        return campaign.event is CampaignEvent.HALTED and campaign.window == happening.window
    return entry.event in {"update_hitl_detail", "engage.answer"} and campaign.event in _ANSWERED


def _of_test(tried: TriedText) -> Placed:
    tone = {True: "success", False: "failed", None: "running"}[tried.accepted]
    did = f"sent the text {tried.text} to a phone for a test"
    happening = Happening(tried.at, Kind.MESSAGES, tone, did, user=tried.user, why=tried.sentence)
    return _position(tried.at, 2, tried.number), happening


def _position(at: datetime, source: int, number: int) -> Position:
    return Position((at - _EPOCH) // timedelta(microseconds=1), source, number)
