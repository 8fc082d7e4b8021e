"""The drafted texts of a segment on the page *Segments*: each as a customer would read it, and what the checks find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.drafts import message_texts, proposals, variants
from engage.drafts.message_texts import DraftedText
from engage.drafts.prompt import Wish
from engage.errors import InputError
from engage.pages.render import html
from engage.pages.segment_draft import Draft
from engage.pages.settings_page import Editor
from engage.settings import Settings
from engage.statuses import TextStatus
from engage.texts.sms_preview import SmsPreview, made_up, preview
from engage.texts.template import Template

READER = "Ada Diaz"
"""The made-up customer who reads the drafts."""


@dataclass(frozen=True)
class ShownDraft:
    """A drafted text as a list shows it. ``sms``: what a made-up customer reads; None if it is no template."""

    found: DraftedText
    sms: SmsPreview | None
    place: str
    """The variant that it becomes or has become, such as ``b`` or ``b in es``; empty if there is no place for it."""
    obstacle: str
    """Why there is no place for it, in a sentence."""
    in_use: bool
    """Whether the settings have it."""


def settings_of(editor: Editor) -> Settings:
    """The settings that are set, which texts are checked against.

    Raises:
        InputError: the user may not see them all, or they hold a mistake.
    """
    if not editor.sees_all:
        raise InputError("Airflow hides some of Engage's Variables from you, and texts are checked against them all.")
    set_now = Draft(editor.stored)
    if set_now.wrong:
        raise InputError(f"The settings hold a mistake; correct it first. {' '.join(set_now.wrong.values())}")
    return set_now.settings


def drafts_of(conn: sa.Connection, editor: Editor, segment: str, *, as_of: datetime) -> dict[str, Any]:
    """The HTML of a segment's drafts, and how many of them wait for a person."""
    settings = settings_of(editor)
    open_ones = [_shown(one, settings) for one in message_texts.newest(conn, segment)]
    decided = [_shown(one, settings) for one in message_texts.newest(conn, segment, message_texts.DECIDED)]
    drafts = [one for one in open_ones if one.found.status is TextStatus.DRAFT]
    latest = proposals.latest(conn, segment, as_of=as_of)
    return {
        "part": html(
            "segment_drafts.html",
            drafts=_oldest_first(drafts),
            refused=_oldest_first([one for one in open_ones if one not in drafts]),
            decided=decided,
            latest=latest if latest and not latest.is_open else None,
            settings=settings,
            reader=READER,
        ),
        "waiting": len(drafts),
    }


def wish(editor: Editor, segment: str, *, offer: str, language: str, wanted: int) -> Wish:
    """What a user asks a model for, checked against the settings that are set.

    Raises:
        InputError: it is not allowed.
    """
    return proposals.wish(settings_of(editor), segment, offer=offer, language=language, wanted=wanted)


def _oldest_first(found: Sequence[ShownDraft]) -> list[ShownDraft]:
    """In the order in which the model wrote them."""
    return sorted(found, key=lambda one: one.found.message_text_id)


def _shown(one: DraftedText, settings: Settings) -> ShownDraft:
    in_use = variants.place_of(settings, one.segment, one.language, one.text) is not None
    try:
        variant, obstacle = one.variant or variants.free(settings, one.segment, one.language), ""
    except InputError as exc:
        variant, obstacle = "", str(exc)
    language = f" in {one.language}" if one.language and variant else ""
    return ShownDraft(one, _read(one.text), f"{variant}{language}", obstacle, in_use)


def _read(text: str) -> SmsPreview | None:
    try:
        return preview(Template.parse(text), made_up(READER))
    except ValueError:
        return None
