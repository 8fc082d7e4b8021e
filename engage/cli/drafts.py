"""``engage texts propose``, ``drafts``, ``approve``, ``reject``: texts that a model drafts, and a person approves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import sqlalchemy as sa
import typer

from engage import formats, settings
from engage.campaigns import campaign
from engage.cli import given_settings
from engage.cli.common import AsJson, console, database, login, plain, print_json
from engage.cli.given_settings import RulesFile, Set
from engage.drafts import message_texts, proposals
from engage.drafts.endpoint import ENVIRONMENT, ModelEndpoint
from engage.drafts.message_texts import DraftedText
from engage.drafts.propose import propose as ask
from engage.errors import ModelFailed
from engage.reports import segment_preview
from engage.settings import PREFIX, Settings
from engage.statuses import ProposalStatus, TextStatus
from engage.storage.database_clock import DatabaseClock

Id = Annotated[int, typer.Argument(metavar="ID", min=1, help="The draft's number, as `engage texts drafts` shows it.")]


def propose(
    segment: Annotated[str, typer.Option(help="The segment whose customers shall read the texts.")],
    offer: Annotated[str, typer.Option(help="What the texts may promise, such as '10% off the next meal'.")],
    count: Annotated[int, typer.Option(min=1, max=proposals.MOST_WANTED, help="Texts to ask for.")] = 8,
    language: Annotated[str, typer.Option(help="A language tag, such as es.", show_default="all others")] = "",
    *,
    set_: Set = None,
    segments: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model for texts for a segment, and keep them as drafts.

    ENGAGE_LLM_URL names the model. The request holds the rule, the offer and the texts in use, and nothing about a
    customer. No draft is sent before a person has approved it. The rules, texts and the brand are those of the latest
    campaign, with --set and --segments over them.
    """
    endpoint = ModelEndpoint.from_url(os.environ.get(ENVIRONMENT))
    with database() as engine:
        clock, wanted = DatabaseClock(engine), uuid4()
        with engine.begin() as conn:
            chosen = _settings(conn, set_ or [], segments)
            wish = proposals.wish(chosen, segment, offer=offer, language=language, wanted=count)
            proposals.request(conn, wanted, wish, by=login(), as_of=clock())
        found = ask(engine, wanted, lambda: endpoint, lambda: chosen, clock)
        if found.status is ProposalStatus.FAILED:
            raise ModelFailed(found.sentence)
        with engine.connect() as conn:
            drafts = message_texts.of_proposal(conn, wanted)
    if as_json:
        print_json([_data(one) for one in drafts])
        return
    for one in drafts:
        _print(one)
    console.print(plain(found.sentence), soft_wrap=True)
    if not chosen.brand:
        console.print("engage_brand is empty, so no text was checked for the chain's name.", style="yellow")


def drafts(
    segment: Annotated[str | None, typer.Option(help="Only those of this segment.", show_default="all")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are approved or rejected.")] = False,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the drafted texts that wait for a person, the newest first."""
    with database() as engine, engine.connect() as conn:
        found = message_texts.newest(conn, segment, tuple(TextStatus) if all_ else message_texts.OPEN)
    if as_json:
        print_json([_data(one) for one in found])
        return
    for one in found:
        _print(one)
    if not found:
        console.print("No drafted text waits. `engage texts propose` asks a model for some.")


def approve(
    draft: Id,
    *,
    set_: Set = None,
    segments: RulesFile = None,
) -> None:
    """Approve a draft, and print the setting that has it as one more text of its segment.

    The setting is that of the latest campaign with --set over it, and the draft in its next free place.
    """
    with database() as engine, engine.begin() as conn:
        chosen = _settings(conn, set_ or [], segments)
        seen = message_texts.find(conn, draft)
        by, now = login(), DatabaseClock(engine)()
        found, messages = message_texts.approve(conn, draft, was=seen.text, settings=chosen, by=by, as_of=now)
    console.print(plain(f"{by} approved text {found.variant} of {found.segment}: {found.text}"), soft_wrap=True)
    if messages is None:
        console.print("The setting messages has it already.")
        return
    console.print(
        plain(f"It is sent once the Variable {PREFIX}messages, or --set messages of engage run, has this value:"),
        soft_wrap=True,
    )
    console.print(plain(messages), soft_wrap=True)


def reject(draft: Id) -> None:
    """Reject a draft for good."""
    with database() as engine, engine.begin() as conn:
        found = message_texts.reject(conn, draft, by=login(), as_of=DatabaseClock(engine)())
    console.print(plain(f"{found.rejected_by} rejected the draft {found.message_text_id}."), soft_wrap=True)


def _settings(conn: sa.Connection, pairs: list[str], rules: Path | None) -> Settings:
    """The settings of the latest campaign, or the defaults without one, with those of the command line over them."""
    windows = campaign.latest_windows(conn, bucketed=True, limit=1)
    used = segment_preview.settings_of(conn, windows[0]) if windows else Settings()
    return given_settings.settings_of(given_settings.given(pairs, rules), rules, base=settings.texts(used))


def _data(one: DraftedText) -> dict[str, object]:
    return {
        "id": one.message_text_id,
        "segment": one.segment,
        "language": one.language,
        "variant": one.variant,
        "status": str(one.status),
        "text": one.text,
        "source": str(one.source),
        "model": one.model,
        "offer": one.offer,
        "faults": list(one.faults),
        "proposed_by": one.proposed_by,
        "proposed_at": one.proposed_at,
        "edited_by": one.edited_by,
        "approved_by": one.approved_by,
        "approved_at": one.approved_at,
        "rejected_by": one.rejected_by,
    }


def _print(one: DraftedText) -> None:
    """Print one draft: its number and state, the text, and what the checks find."""
    language = f" in {one.language}" if one.language else ""
    states = {
        TextStatus.DRAFT: "waits for a person",
        TextStatus.REFUSED: "refused by the checks",
        TextStatus.APPROVED: f"approved as text {one.variant} by {one.approved_by}",
        TextStatus.REJECTED: f"rejected by {one.rejected_by}",
    }
    head = f"{one.message_text_id} {one.segment}{language}: {states[one.status]}"
    console.print(plain(head), style="bold", soft_wrap=True)
    for line in one.text.splitlines():
        console.print(plain(f"  {line}"), soft_wrap=True)
    edited = f", edited by {one.edited_by}" if one.edited_by else ""
    at = formats.moment(one.proposed_at)
    console.print(plain(f"  {one.model}, {at}, for {one.proposed_by}{edited}"), style="dim", soft_wrap=True)
    for why in one.faults:
        console.print(plain(f"  {why}"), style="yellow", soft_wrap=True)
