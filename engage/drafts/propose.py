"""Answers a request for texts: asks the model once, and keeps what it writes as drafts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from engage.drafts import answer, chat, message_texts, proposals
from engage.drafts.chat import Completion
from engage.drafts.endpoint import ModelEndpoint
from engage.drafts.message_texts import DraftedText
from engage.drafts.prompt import request
from engage.drafts.proposals import Proposal
from engage.errors import EngageError, ModelFailed, NoSuchDraft
from engage.settings import Settings


def propose(
    engine: sa.Engine,
    proposal_id: UUID,
    endpoint_of: Callable[[], ModelEndpoint],
    settings_of: Callable[[], Settings],
    clock: Callable[[], datetime],
) -> Proposal:
    """Ask the model for the texts of a request, at most once; returns what became of it.

    No connection to the database waits for the model. What the model writes is kept in one transaction.

    Raises:
        NoSuchDraft: there is no request with this id.
    """
    ready: tuple[ModelEndpoint, Settings] | EngageError
    try:  # before the claim, so that a task which cannot read a Variable now may be retried
        ready = endpoint_of(), settings_of()
    except EngageError as exc:
        ready = exc
    with engine.begin() as conn:
        claimed = proposals.claim(conn, proposal_id, as_of=clock())
    if claimed:
        try:
            if isinstance(ready, EngageError):
                raise ready
            _answer(engine, claimed, *ready, clock)
        except EngageError as exc:
            with engine.begin() as conn:
                proposals.fail(conn, proposal_id, str(exc), as_of=clock())
    with engine.connect() as conn:
        found = proposals.find(conn, proposal_id, as_of=clock())
    if found is None:
        raise NoSuchDraft(f"There is no request for texts with the id {proposal_id}. The page Segments makes one.")
    return found


def _answer(
    engine: sa.Engine,
    claimed: Proposal,
    endpoint: ModelEndpoint,
    settings: Settings,
    clock: Callable[[], datetime],
) -> None:
    wish = claimed.wish
    with engine.connect() as conn:
        drafts = message_texts.compared(conn, wish.segment)
    in_use = [one.text for one in settings.each_text(wish.segment)] if wish.segment in settings.texted else []
    avoid = [*in_use, *(one.text for one in drafts)]
    written = chat.complete(endpoint, request(endpoint.model, settings, wish, avoid=avoid))
    found = answer.texts(written.content)
    if not found.texts:
        how = "was cut before its first text ended" if written.cut else "holds no text in the form that was asked for"
        raise ModelFailed(f"The answer of the model {endpoint.model} {how}. Try again, or ask another model.")
    with engine.begin() as conn:
        kept = message_texts.keep(conn, claimed, found.texts, settings, model=endpoint.model, as_of=clock())
        note = _note(kept, wish.wanted, written, no_texts=found.no_texts)
        proposals.settle(conn, claimed.proposal_id, model=endpoint.model, note=note, as_of=clock())


def _note(kept: Collection[DraftedText], wanted: int, written: Completion, *, no_texts: int) -> str:
    """What came of a request, in sentences."""
    refused = sum(1 for one in kept if one.faults)
    parts = [f"The model wrote {_texts(len(kept))}" + ("." if len(kept) == wanted else f"; {wanted} were asked for.")]
    if written.cut:
        parts.append("Its answer was cut, and the last text left out.")
    if no_texts:
        parts.append(f"{no_texts} of its items {'was' if no_texts == 1 else 'were'} no text.")
    if refused:
        parts.append(f"The checks refuse {refused} of them.")
    return " ".join(parts)


def _texts(count: int) -> str:
    return f"{count} text{'' if count == 1 else 's'}"
