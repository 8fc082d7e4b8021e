"""The drafted texts as rows: kept, edited, approved or rejected, each change by a person whom the row names.

No sender reads them. An approved text is sent because the setting ``messages`` has it from then on, as any other text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from engage.drafts import variants
from engage.drafts.lint import Standards, faults
from engage.drafts.proposals import Proposal
from engage.errors import InputError, NoSuchDraft
from engage.settings import Settings
from engage.statuses import TextSource, TextStatus
from engage.storage.schema import message_text
from engage.texts.characters import visible

OPEN = (TextStatus.DRAFT, TextStatus.REFUSED)
"""What a person has yet to decide on."""
COMPARED = 100
"""Other drafts and rejected texts of a segment that a new one may not resemble: the newest."""
DECIDED = (TextStatus.APPROVED, TextStatus.REJECTED)
SHOWN = 60
"""Texts that a list has: the newest."""


@dataclass(frozen=True)
class DraftedText:
    """A drafted text. ``faults``: why it may not be sent as it stands, in sentences."""

    message_text_id: int
    segment: str
    language: str
    variant: str | None
    text: str
    drafted: str
    source: TextSource
    model: str
    offer: str
    status: TextStatus
    faults: tuple[str, ...]
    proposed_by: str
    proposed_at: datetime
    edited_by: str | None
    approved_by: str | None
    approved_at: datetime | None
    rejected_by: str | None
    rejected_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether a person has yet to decide on it."""
        return self.status in OPEN


def keep(
    conn: sa.Connection, proposal: Proposal, texts: Sequence[str], settings: Settings, *, model: str, as_of: datetime
) -> list[DraftedText]:
    """Keep the texts of an answer, those too that the checks refuse; returns them."""
    others = _others(conn, settings, proposal.wish.segment)
    kept = []
    for number, text in enumerate(texts, 1):
        found = faults(text, standards(settings, proposal.wish.offer, others))
        kept.append(_insert(conn, proposal, text, found, model=model, as_of=as_of))
        others |= {f"text {number} of the same answer": text} if not found else {}
    return kept


def edit(
    conn: sa.Connection, message_text_id: int, *, text: str, was: str, settings: Settings, by: str, as_of: datetime
) -> DraftedText:
    """Give a draft another text, which is checked again.

    Raises:
        NoSuchDraft: there is none.
        InputError: it is decided on, or another user has changed it from ``was``.
    """
    row = _open(conn, message_text_id, was)
    text = visible(text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    others = _others(conn, settings, row.segment, without=message_text_id)
    found = faults(text, standards(settings, row.offer, others))
    changed: dict[str, Any] = {"text": text, "lint": list(found), "status": _status(found)}
    if text != row.text:
        changed |= {"source": TextSource.OPERATOR, "edited_by": by, "edited_at": as_of}
    return _update(conn, message_text_id, changed)


def approve(
    conn: sa.Connection, message_text_id: int, *, was: str, settings: Settings, by: str, as_of: datetime
) -> tuple[DraftedText, str | None]:
    """Approve a draft: it takes the next free place among its segment's texts.

    Returns it, and the setting ``messages`` with it, which the caller sets in the same breath; None if that has it.

    Raises:
        NoSuchDraft: there is none.
        InputError: it is decided on, another user has changed it from ``was``, the checks refuse it by now, or its
            segment has no free place.
    """
    row = _open(conn, message_text_id, was)
    if row.segment not in settings.segments.named:
        raise InputError(f"No rule has the segment {row.segment} any more, so no customer would get the text.")
    variant, messages = variants.place_of(settings, row.segment, row.language, row.text), None
    others = {} if variant else _in_use(settings)  # of two drafts that are alike, one may be approved
    if found := faults(row.text, standards(settings, row.offer, others)):
        raise InputError(f"The text may not be sent as it stands. {' '.join(found)} Edit it first.")
    if variant is None:
        variant = variants.free(settings, row.segment, row.language)
        messages = variants.with_text(settings, row.segment, variant, row.language, row.text)
    changed = {"status": TextStatus.APPROVED, "lint": [], "variant": variant, "approved_by": by, "approved_at": as_of}
    return _update(conn, message_text_id, changed), messages


def reopen(conn: sa.Connection, message_text_id: int) -> None:
    """Make an approved text a draft again, as the setting could not take it."""
    _update(
        conn,
        message_text_id,
        {"status": TextStatus.DRAFT, "variant": None, "approved_by": None, "approved_at": None},
    )


def reject(conn: sa.Connection, message_text_id: int, *, by: str, as_of: datetime) -> DraftedText:
    """Reject a draft for good. Rejecting it again changes nothing.

    Raises:
        NoSuchDraft: there is none.
        InputError: it is approved.
    """
    row = _locked(conn, message_text_id)
    if row.status == TextStatus.REJECTED:
        return row
    if not row.is_open:
        raise InputError(f"{_decided(row)} To end it, remove text {row.variant} of {row.segment} from its texts.")
    return _update(
        conn, message_text_id, {"status": TextStatus.REJECTED, "rejected_by": by, "rejected_at": as_of}
    )  # fmt: skip


def newest(
    conn: sa.Connection, segment: str | None, statuses: Collection[TextStatus] = OPEN, *, limit: int = SHOWN
) -> list[DraftedText]:
    """The newest drafted texts with one of the statuses, of a segment or of all."""
    query = sa.select(message_text).where(message_text.c.status.in_(statuses))
    if segment is not None:
        query = query.where(message_text.c.segment == segment)
    return [_of(row) for row in conn.execute(query.order_by(message_text.c.message_text_id.desc()).limit(limit))]


def of_proposal(conn: sa.Connection, proposal_id: UUID) -> list[DraftedText]:
    """The texts that one request has brought, in the order of the answer."""
    query = sa.select(message_text).where(message_text.c.proposal_id == proposal_id)
    return [_of(row) for row in conn.execute(query.order_by(message_text.c.message_text_id))]


def find(conn: sa.Connection, message_text_id: int) -> DraftedText:
    """A drafted text.

    Raises:
        NoSuchDraft: there is none with this id.
    """
    row = conn.execute(_by_id(message_text_id)).one_or_none()
    if row is None:
        raise NoSuchDraft(f"There is no drafted text with the id {message_text_id}. `engage texts drafts` lists them.")
    return _of(row)


def waiting(conn: sa.Connection) -> dict[str, int]:
    """How many drafts of each segment wait for a person."""
    query = sa.select(message_text.c.segment, sa.func.count()).where(message_text.c.status == TextStatus.DRAFT)
    return {row[0]: row[1] for row in conn.execute(query.group_by(message_text.c.segment))}


def standards(settings: Settings, offer: str, others: Mapping[str, str]) -> Standards:
    """What the texts of an offer are held against, with the settings of the moment."""
    return Standards(brand=settings.brand, offer=offer, has_codes=bool(settings.offer), others=dict(others))


def compared(conn: sa.Connection, segment: str, *, without: int | None = None) -> list[DraftedText]:
    """The drafts and rejected texts of a segment, the newest first."""
    query = (
        sa.select(message_text)
        .where(
            message_text.c.segment == segment,
            message_text.c.status.in_((TextStatus.DRAFT, TextStatus.REJECTED)),
            message_text.c.message_text_id.is_distinct_from(without),
        )
        .order_by(message_text.c.message_text_id.desc())
        .limit(COMPARED)
    )
    return [_of(row) for row in conn.execute(query)]


def _in_use(settings: Settings) -> dict[str, str]:
    """All texts that are set, by what they are."""
    return {
        f"the text {one.named_after(name)}, which is in use": one.text
        for name in settings.texted
        for one in settings.each_text(name)
    }


def _others(conn: sa.Connection, settings: Settings, segment: str, *, without: int | None = None) -> dict[str, str]:
    """The texts that a new one may not resemble, by what they are."""
    words = {TextStatus.DRAFT: "the draft", TextStatus.REJECTED: "the rejected text"}
    return _in_use(settings) | {
        f"{words[one.status]} {one.message_text_id}": one.text for one in compared(conn, segment, without=without)
    }


def _status(found: Collection[str]) -> TextStatus:
    return TextStatus.REFUSED if found else TextStatus.DRAFT


def _insert(
    conn: sa.Connection, proposal: Proposal, text: str, found: Collection[str], *, model: str, as_of: datetime
) -> DraftedText:
    values = {
        "proposal_id": proposal.proposal_id,
        "segment": proposal.wish.segment,
        "language": proposal.wish.language,
        "text": text,
        "drafted": text,
        "source": TextSource.MODEL,
        "model": model,
        "offer": proposal.wish.offer,
        "status": _status(found),
        "lint": list(found),
        "proposed_by": proposal.requested_by,
        "proposed_at": as_of,
    }
    return _of(conn.execute(sa.insert(message_text).values(**values).returning(message_text)).one())


def _update(conn: sa.Connection, message_text_id: int, values: Mapping[str, Any]) -> DraftedText:
    query = sa.update(message_text).where(message_text.c.message_text_id == message_text_id).values(**values)
    return _of(conn.execute(query.returning(message_text)).one())


def _locked(conn: sa.Connection, message_text_id: int) -> DraftedText:
    conn.execute(_by_id(message_text_id).with_for_update())
    return find(conn, message_text_id)


def _by_id(message_text_id: int) -> sa.Select[Any]:
    return sa.select(message_text).where(message_text.c.message_text_id == message_text_id)


def _open(conn: sa.Connection, message_text_id: int, was: str) -> DraftedText:
    row = _locked(conn, message_text_id)
    if not row.is_open:
        raise InputError(_decided(row))
    if row.text != was:
        raise InputError("Another user has edited this draft meanwhile. Look at the new text, then decide.")
    return row


def _decided(row: DraftedText) -> str:
    by = row.approved_by if row.status is TextStatus.APPROVED else row.rejected_by
    return f"The draft {row.message_text_id} is decided on: {by} {row.status} it."


def _of(row: Any) -> DraftedText:
    return DraftedText(
        row.message_text_id, row.segment, row.language, row.variant, row.text, row.drafted, TextSource(row.source),
        row.model, row.offer, TextStatus(row.status), tuple(row.lint), row.proposed_by, row.proposed_at, row.edited_by,
        row.approved_by, row.approved_at, row.rejected_by, row.rejected_at,
    )  # fmt: skip
