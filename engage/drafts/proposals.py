"""Requests for texts of a model, as rows: a page writes one, and a process that may reach the model answers it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.drafts.prompt import Wish
from engage.errors import InputError
from engage.settings import Settings
from engage.settings.languages import tag_of
from engage.statuses import ProposalStatus
from engage.storage.schema import text_proposal
from engage.texts.characters import refuse_invisible

MOST_WANTED = 12
"""Texts of one request."""
LONGEST_OFFER = 200
MOST_AN_HOUR = 20
"""Requests of one user within an hour. The model's owner may charge for each."""
EXPIRES_AFTER = timedelta(minutes=10)
"""A request that waits longer is not made: its user has left. One that is under way has ended by then."""
EXPIRED = "No run has taken the request within 10 minutes. Look at the DAG engage_propose_texts in Airflow."
LOST = "The process that asked the model ended before the answer was kept. Ask again."
_LOCK = 0x64726166  # "draf"


@dataclass(frozen=True)
class ProposalOutcome:
    """What became of a request, for Airflow's log."""

    status: str
    note: str


@dataclass(frozen=True)
class Proposal:
    """A request, and where it is on its way."""

    proposal_id: UUID
    wish: Wish
    requested_at: datetime
    requested_by: str
    status: ProposalStatus
    model: str | None
    note: str | None
    error: str | None

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still to come."""
        return self.status in {ProposalStatus.WAITING, ProposalStatus.ASKING}

    @property
    def sentence(self) -> str:
        """Where it is, in words."""
        return {
            ProposalStatus.WAITING: "The request waits for its run.",
            ProposalStatus.ASKING: "The model writes. This takes up to a minute or two.",
            ProposalStatus.DONE: self.note or "",
            ProposalStatus.FAILED: self.error or "",
        }[self.status]

    @property
    def summary(self) -> ProposalOutcome:
        """What a task returns of it."""
        return ProposalOutcome(str(self.status), self.sentence)


def wish(settings: Settings, segment: str, *, offer: str, language: str, wanted: int) -> Wish:
    """What an operator asks for, checked.

    Raises:
        InputError: no rule has the segment, or the offer, the language or the number is not allowed.
    """
    if segment not in settings.segments.named:
        known = ", ".join(settings.segments.named)
        raise InputError(f"{segment[:40]!r} is no segment of the rules that are set; there are {known}. Set it first.")
    offer = " ".join(unicodedata.normalize("NFC", offer).split())
    if not offer or len(offer) > LONGEST_OFFER:
        raise InputError(
            f"The offer has {len(offer)} characters; it takes 1 to {LONGEST_OFFER}, such as: 10% off the next meal."
        )
    try:
        refuse_invisible(offer)
        language = tag_of(segment, language.strip()) if language.strip() else ""
    except ValueError as exc:
        raise InputError(f"The offer or the language is not allowed: {exc}.") from None
    if not 1 <= wanted <= MOST_WANTED:
        raise InputError(f"{wanted} texts were asked for; one request takes 1 to {MOST_WANTED}.")
    return Wish(segment, language, offer, wanted)


def request(conn: sa.Connection, proposal_id: UUID, asked: Wish, *, by: str, as_of: datetime) -> bool:
    """Write down that a user wants texts; returns whether the id is new. Idempotent.

    Raises:
        InputError: the user has asked too often within the hour.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    if conn.execute(sa.select(text_proposal.c.status).where(text_proposal.c.proposal_id == proposal_id)).first():
        return False
    within = sa.and_(text_proposal.c.requested_by == by, text_proposal.c.requested_at > as_of - timedelta(hours=1))
    if (count := conn.execute(sa.select(sa.func.count()).where(within)).scalar_one()) >= MOST_AN_HOUR:
        raise InputError(f"You have asked for texts {count} times within the hour, and {MOST_AN_HOUR} are allowed.")
    conn.execute(
        insert(text_proposal).values(
            proposal_id=proposal_id,
            requested_at=as_of,
            requested_by=by,
            segment=asked.segment,
            language=asked.language,
            offer=asked.offer,
            wanted=asked.wanted,
            status=ProposalStatus.WAITING,
        )
    )
    return True


def claim(conn: sa.Connection, proposal_id: UUID, *, as_of: datetime) -> Proposal | None:
    """Commit that the model is asked from now on; None if it must not be, as another process has asked it or may.

    The request of a process that ended in between counts as failed, because the model may have answered it.
    """
    row = conn.execute(_by_id(proposal_id).with_for_update()).one_or_none()
    if row is None or row.status not in {ProposalStatus.WAITING, ProposalStatus.ASKING}:
        return None
    if row.status == ProposalStatus.ASKING or as_of - row.requested_at > EXPIRES_AFTER:
        fail(conn, proposal_id, LOST if row.status == ProposalStatus.ASKING else EXPIRED, as_of=as_of)
        return None
    _update(conn, proposal_id, status=ProposalStatus.ASKING, asked_at=as_of)
    return _of(row, as_of)


def fail(conn: sa.Connection, proposal_id: UUID, why: str, *, as_of: datetime) -> None:
    """Keep why a request brings no texts."""
    _update(conn, proposal_id, status=ProposalStatus.FAILED, error=why, settled_at=as_of)


def settle(conn: sa.Connection, proposal_id: UUID, *, model: str, note: str, as_of: datetime) -> None:
    """Keep that a request has brought texts, also if another process has taken the one that asked for lost."""
    _update(conn, proposal_id, status=ProposalStatus.DONE, model=model, note=note, error=None, settled_at=as_of)


def find(conn: sa.Connection, proposal_id: UUID, *, as_of: datetime) -> Proposal | None:
    """A request; None if there is none with this id."""
    row = conn.execute(_by_id(proposal_id)).one_or_none()
    return None if row is None else _of(row, as_of)


def latest(conn: sa.Connection, segment: str, *, as_of: datetime) -> Proposal | None:
    """The newest request for texts of a segment."""
    newest = sa.select(text_proposal).where(text_proposal.c.segment == segment)
    row = conn.execute(newest.order_by(text_proposal.c.requested_at.desc()).limit(1)).one_or_none()
    return None if row is None else _of(row, as_of)


def _by_id(proposal_id: UUID) -> sa.Select[Any]:
    return sa.select(text_proposal).where(text_proposal.c.proposal_id == proposal_id)


def _update(conn: sa.Connection, proposal_id: UUID, **values: Any) -> None:
    conn.execute(sa.update(text_proposal).where(text_proposal.c.proposal_id == proposal_id).values(**values))


def _of(row: Any, as_of: datetime) -> Proposal:
    status, error = ProposalStatus(row.status), row.error
    is_open = status in {ProposalStatus.WAITING, ProposalStatus.ASKING}
    if is_open and as_of - row.requested_at > EXPIRES_AFTER:
        status, error = ProposalStatus.FAILED, EXPIRED if status is ProposalStatus.WAITING else LOST
    wanted = Wish(row.segment, row.language, row.offer, row.wanted)
    return Proposal(
        row.proposal_id, wanted, row.requested_at, row.requested_by, status, row.model, row.note, error
    )  # fmt: skip
