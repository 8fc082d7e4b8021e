"""The page *Texts and settings*: every setting in groups, with previews of the texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.pages.happenings import Happening
from engage.pages.render import html
from engage.pages.setting_fields import TEXTS, setting_fields
from engage.pages.text_preview import INSERTS, TextPreview, text_preview
from engage.pages.viewer import Viewer
from engage.settings import GROUPS, LABELS, Change, Settings, applied, in_words, refusals, texts, usable

RECENT = 12
"""Campaigns among which the last one with settings is looked for."""


@dataclass(frozen=True)
class Editor:
    """What the user may do with the Variables, and what stands in them."""

    stored: Mapping[str, str] = field(default_factory=dict)
    """The Variables' texts by setting, of those that the user may read."""
    readable: Collection[str] = ()
    editable: Collection[str] = ()
    overridden: Collection[str] = ()
    """Settings that Airflow's environment sets, which hides their Variables."""
    history: Sequence[Happening] | None = None
    """The latest changes; None if the user may not read Airflow's audit log."""

    @property
    def sees_all(self) -> bool:
        """Whether the user may read every Variable."""
        return set(self.readable) >= set(Settings.model_fields)


def settings_page(engine: sa.Engine, viewer: Viewer, editor: Editor) -> str:
    """The HTML of the page. A user who may not read the Variables sees what the last campaign used."""
    with engine.connect() as conn:
        found = campaign.find_all(conn, limit=RECENT)
    last = next((one for one in found if one.settings), None)
    values = dict(editor.stored) if editor.sees_all else _of_campaign(last)
    wrong = in_words(values) if editor.sees_all else {}
    return html(
        "settings.html",
        viewer=viewer,
        editor=editor,
        groups=GROUPS,
        labels=LABELS,
        fields=setting_fields(values, wrong),
        wrong=wrong,
        previews=_previews(values, found),
        texts=TEXTS,
        inserts=INSERTS,
        last=last,
    )


def check(engine: sa.Engine, editor: Editor, changes: Collection[Change]) -> dict[str, Any]:
    """What a user's unsaved changes mean: errors by setting, whether they may be saved, and the previews as HTML."""
    values = applied(editor.stored, changes)
    with engine.connect() as conn:
        previews = _previews(values, campaign.find_all(conn, limit=RECENT))
    return {
        "errors": in_words(values),
        "may_save": not refusals(editor.stored, changes),
        "previews": {
            name: {
                "facts": html("setting_text_facts.html", preview=preview),
                "bubbles": html("setting_text_bubbles.html", preview=preview),
            }
            for name, preview in previews.items()
        },
    }


def _of_campaign(last: Campaign | None) -> dict[str, str]:
    return texts(last.settings) if last and last.settings else {}


def _previews(values: Mapping[str, str], found: Sequence[Campaign]) -> dict[str, TextPreview | None]:
    settings = usable(values)
    buckets = next((one.buckets for one in found if one.buckets), None) or {}
    return {name: text_preview(name, values, settings, buckets.get(name.rpartition("_")[2].upper())) for name in TEXTS}
