"""The page *Texts and settings*: every setting in groups, with previews of the texts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.pages.happenings import Happening
from engage.pages.render import html
from engage.pages.segment_tones import tones
from engage.pages.setting_fields import names_of_settings, setting_fields, without_text
from engage.pages.text_preview import INSERTS, TextPreview, text_preview
from engage.pages.viewer import Viewer
from engage.reports import segment_preview, share_facts
from engage.settings import (
    Change,
    Settings,
    applied,
    groups,
    in_words,
    refusals,
    rules_in,
    segment_of_text,
    texts,
    usable,
)

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
    hidden: Collection[str] = ()
    """Settings with names that staff chose whose Variables the user may not read."""

    @property
    def sees_all(self) -> bool:
        """Whether the user may read every Variable."""
        return set(self.readable) >= set(Settings.model_fields) and not self.hidden

    def may_edit(self, name: str) -> bool:
        """Whether the user may change the setting, as far as the page knows. Airflow is asked again for a new one."""
        known = name in Settings.model_fields or name in self.stored
        return name in self.editable if known else set(self.editable) >= set(Settings.model_fields)


def settings_page(engine: sa.Engine, viewer: Viewer, editor: Editor) -> str:
    """The HTML of the page. A user who may not read the Variables sees what the last campaign used."""
    with engine.connect() as conn:
        found = campaign.find_all(conn, limit=RECENT)
        last = next((one for one in found if one.settings), None)
        values = dict(editor.stored) if editor.sees_all else _of_campaign(last)
        shares = _shares(conn, values, found)
    wrong = in_words(values) if editor.sees_all else {}
    names = names_of_settings(values)
    return html(
        "settings.html",
        viewer=viewer,
        groups=groups(names),
        fields=setting_fields(names, values, wrong),
        wrong=wrong,
        last=last,
        offers=_offers(values, editor, found),
        further=_further(values),
        **shares,
        **_texts(values, editor, found, filter(segment_of_text, names)),
    )


def check(engine: sa.Engine, editor: Editor, changes: Collection[Change]) -> dict[str, Any]:
    """What a user's unsaved changes mean: errors by setting, whether they may be saved, and parts of the page as HTML.

    ``previews`` are those of the texts, ``offers`` the texts that could be written, and ``thresholds`` the fields of
    thresholds that the changed rules name and that have no Variable. ``shares``: what thresholds that are a share of
    the customers become.
    """
    values = applied(editor.stored, changes)
    with engine.connect() as conn:
        found = campaign.find_all(conn, limit=RECENT)
        shares = _shares(conn, values, found)
    names = names_of_settings(values)
    errors = in_words(values)
    new = [name for name in names if name not in Settings.model_fields and not segment_of_text(name)]
    saved = {**editor.stored, "segments": values["segments"]} if "segments" in values else editor.stored
    return {
        "errors": errors,
        "may_save": not refusals(editor.stored, changes),
        "previews": {
            name: {
                "facts": html("setting_text_facts.html", preview=preview),
                "bubbles": html("setting_text_bubbles.html", preview=preview),
            }
            for name, preview in _previews(values, found, filter(segment_of_text, names)).items()
        }
        | {"messages": {"facts": html("setting_further_texts.html", further=_further(values))}},
        "offers": _offers(values, editor, found),
        "thresholds": {
            name: html(
                "setting_field.html", one=one, locked=not editor.may_edit(name), error="", editor=editor, **shares
            )
            for name, one in setting_fields(new, saved).items()
        },
        "shares": {
            name: html("setting_share.html", fact=fact, shares_of=shares["shares_of"])
            for name, fact in shares["shares"].items()
        },
    }


def _shares(conn: sa.Connection, values: Mapping[str, str], found: Sequence[Campaign]) -> dict[str, Any]:
    """What the values' shares become among the customers of the latest window with segments, by setting."""
    settings, last = usable(values), next((one for one in found if one.buckets), None)
    facts = share_facts.share_facts(segment_preview.resolved(conn, last.window, settings)) if last else []
    return {"shares": {one.name: one for one in facts}, "shares_of": last.window if last else None}


def _offers(values: Mapping[str, str], editor: Editor, found: Sequence[Campaign]) -> str:
    """The HTML of the texts that could be written, each folded behind a button."""
    names = [name for name in without_text(values) if editor.may_edit(name)] if editor.sees_all else []
    return html(
        "setting_offers.html",
        offered=names,
        fields=setting_fields(names, {}),
        wrong={},
        **_texts(values, editor, found, names),
    )


def _texts(
    values: Mapping[str, str], editor: Editor, found: Sequence[Campaign], names: Iterable[str]
) -> dict[str, Any]:
    """What the cards of texts need."""
    previews = _previews(values, found, names)
    rules = rules_in(values.get("segments"))
    return {
        "editor": editor,
        "texts": list(previews),
        "previews": previews,
        "segments": {name: segment_of_text(name) for name in previews},
        "named": rules.named,
        "tones": tones(rules.names),
        "inserts": INSERTS,
    }


def _further(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """The texts of segments with further ones in ``engage_messages``, each with its name; none while it is wrong."""
    settings = usable(values)
    named = [name for name in settings.messages if name in settings.texted]
    return [(one.named_after(name), one.text) for name in named for one in settings.each_text(name)]


def _of_campaign(last: Campaign | None) -> dict[str, str]:
    return texts(last.settings) if last and last.settings else {}


def _previews(
    values: Mapping[str, str], found: Sequence[Campaign], names: Iterable[str]
) -> dict[str, TextPreview | None]:
    settings = usable(values)
    buckets = next((one.buckets for one in found if one.buckets), None) or {}
    return {name: text_preview(name, values, settings, buckets.get(segment_of_text(name) or "")) for name in names}
