"""The page *Segments*: the rules of the next campaign, counted over a past window while the user edits them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.airflow_names import DAG_ID
from engage.campaigns import campaign, history, live_window, window_customers
from engage.campaigns.live_window import LiveWindow
from engage.drafts import message_texts
from engage.errors import InputError, NotReady
from engage.pages import flow_svg, return_score_panel, segment_texts, segment_tones
from engage.pages.render import html
from engage.pages.segment_draft import DEFAULTS, Draft, belongs
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.reports import budget_cut_words, holdout_reach, segment_preview, share_facts
from engage.reports.message_words import REASONS
from engage.reports.segment_preview import SegmentPreview
from engage.reports.segment_reach import reach
from engage.reports.segment_readers import Reading
from engage.reports.segment_recipients import recipients
from engage.segments import FIELDS, Unit
from engage.segments.warnings import warnings
from engage.segments.words import HOLDS, phrase
from engage.settings import PREFIX, Change, Settings, label, message_name, texts
from engage.storage import connection
from engage.texts import phone
from engage.window import Window

SHOWN = 26
"""Windows to choose from: four years."""
_STEPS = {"avg_weekly_sessions": 0.125}
"""Steps of a slider; 1 for all other fields."""


def segments_page(
    engine: sa.Engine, viewer: Viewer, editor: Editor, window: Window | None, *, drafting: bool = False
) -> str:
    """The HTML of the page, counted over ``window``, by default the latest one with segments.

    ``drafting``: whether there is a model that drafts texts.

    Raises:
        NotReady: the window has no segments yet.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        windows = campaign.latest_windows(conn, bucketed=True, limit=SHOWN)
        live = live_window.find(conn)
        if live and live.window in windows:  # its campaign has taken its place
            live = None
        if window is None:
            known = [*windows, *([live.window] if live else [])]
            if not known:
                raise NotReady(f"No campaign has put customers in segments yet: trigger a run of {DAG_ID} first.")
            window = known[0]
        draft = _draft(conn, window, editor)
        found = segment_preview.preview(conn, window, draft.settings)
        score = return_score_panel.panel(conn, window)
        is_old = segment_preview.is_of_earlier_version(conn, window)
        without_sums = history.without_sums(conn, window)
        reaches = reach(conn, window, found.all)
        shown = {name: found.examples.get(name, ()) for name in draft.settings.texted}
        waiting = message_texts.waiting(conn) if viewer.may_ask_model else {}
        previews = {name: text for name, text in _read(conn, viewer, window, draft, shown).items() if text.strip()}
    counted = _counted(found)
    return html(
        "segments.html",
        viewer=viewer,
        editor=editor,
        window=window,
        windows=_choices(windows, live, window),
        live=live if live and live.window == window else None,
        state=_state(draft, reaches, found) | {"counted": counted, "previews": previews, "waiting": waiting},
        counted=counted,
        texts=previews,
        phrases=[list(map(phrase, one.when)) for one in draft.settings.segments.segments],
        threshold_facts=[
            (label(name), share_facts.shown(draft.settings, name, formats.number)) for name in draft.settings.thresholds
        ],
        draft=draft,
        settings=draft.settings,
        test_phones=phone.numbers(draft.settings.test_phones) if viewer.may_send_test else (),
        drafting=drafting,
        may_draft=viewer.may_ask_model and (drafting or bool(waiting)),
        is_old=is_old,
        without_sums=without_sums,
        score=score,
        overridden=sorted(PREFIX + name for name in editor.overridden if belongs(name)),
        **_shown(found),
    )


def _choices(windows: Sequence[Window], live: LiveWindow | None, chosen: Window) -> list[tuple[str, str]]:
    """The windows to choose from, the running one first, each with what to call it."""
    known = windows if chosen in windows or (live and chosen == live.window) else [chosen, *windows]
    named = [(one, formats.days(one.start, one.end)) for one in known]
    if live:
        named.insert(0, (live.window, "Running window (so far)"))
    return [(formats.iso_day(one.start), words) for one, words in named]


def counts(engine: sa.Engine, editor: Editor, window: Window, changes: Collection[Change]) -> dict[str, Any]:
    """What a user's draft means for the window's customers, or what is wrong with it.

    Raises:
        NotReady: the window has no segments yet.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        draft = _draft(conn, window, editor, changes)
        if errors := draft.errors():
            return {"errors": errors, "may_save": False}
        found = segment_preview.preview(conn, window, draft.settings)
    shown = _shown(found)
    return {
        "errors": {},
        "may_save": not draft.refused,
        "segments": _counted(found),
        "shares": _shares(draft.settings),
        "examples": _as_text(found.examples),
        "said": _said(found),
        "parts": {
            "then": html("segments_then.html", **shown),
            "counts": html("segments_counts.html", **shown),
            "differences": html("segments_differences.html", differences=draft.differences()),
        },
    }


def texted(
    engine: sa.Engine, editor: Editor, window: Window, changes: Collection[Change], now: datetime
) -> dict[str, Any]:
    """How many customers of a user's draft may be texted, if it is right. It takes longer than ``counts``."""
    with engine.begin() as conn:
        connection.tune(conn)
        draft = _draft(conn, window, editor, changes)
        if draft.wrong:
            return {}
        found = recipients(conn, window, draft.settings, now)
        arms = {name: (count, found.held_out[name]) for name, count in found.by_segment.items()}
        reaches = holdout_reach.reaches(conn, window, draft.settings, arms)
    segments = segment_preview.sms_segments(draft.settings, found.by_segment)
    return {
        "by_segment": {name: f"{formats.number(count)} may be texted" for name, count in found.by_segment.items()},
        "part": html(
            "segments_texted.html",
            found=found,
            segments=segments,
            holdout=draft.settings.holdout_percent,
            reaches=reaches,
            cost=draft.settings.cost(segments),
            budget=budget_cut_words.preview(draft.settings, found.by_segment),
            reasons=[(REASONS[why], count) for why, count in found.left_out.items()],
        ),
    }


def read_texts(
    engine: sa.Engine,
    viewer: Viewer,
    editor: Editor,
    window: Window,
    changes: Collection[Change],
    *,
    customers: Mapping[str, Collection[int]],
) -> dict[str, str]:
    """What a few customers would read, as HTML by segment. ``customers``: their ids by segment of the draft."""
    with engine.begin() as conn:
        draft = _draft(conn, window, editor, changes)
        return _read(conn, viewer, window, draft, customers)


def _read(
    conn: sa.Connection, viewer: Viewer, window: Window, draft: Draft, customers: Mapping[str, Collection[int]]
) -> dict[str, str]:
    found = segment_texts.texts_of(conn, window, draft.settings, customers)
    sends = viewer.may_send_test and not _is_running(conn, window)
    return {
        name: html(
            "segment_text.html",
            text=text if message_name(name) not in draft.wrong else None,
            sends=sends,
        )
        for name, text in found.items()
    }


def text_to_try(
    engine: sa.Engine,
    editor: Editor,
    window: Window,
    changes: Collection[Change],
    *,
    segment: str,
    example: str,
    variant: str,
) -> tuple[Reading, Settings]:
    """A text of a user's draft as an example of the page shows it, and the draft's settings.

    Raises:
        InputError: the draft holds a mistake, or has no such text or example, or the window is still running.
    """
    with engine.begin() as conn:
        if _is_running(conn, window):
            raise InputError("No message comes of a window that is still running. Choose a window that is over.")
        draft = _draft(conn, window, editor, changes)
        if draft.wrong:
            raise InputError(" ".join(draft.wrong.values()))
        found = segment_texts.reading_of(conn, window, draft.settings, segment=segment, key=example, variant=variant)
    if found is None:
        raise InputError(f"Segment {segment[:40]} has no such text any more. Reload the page.")
    return found, draft.settings


def _is_running(conn: sa.Connection, window: Window) -> bool:
    found = window_customers.find(conn, window)
    return found is not None and found.live


def _draft(conn: sa.Connection, window: Window, editor: Editor, changes: Collection[Change] = ()) -> Draft:
    """The draft of a user who may read the Variables; others start from what the window's campaign used."""
    used = segment_preview.settings_of(conn, window)
    base = editor.stored if editor.sees_all else texts(used)
    resolve = partial(segment_preview.resolved, conn, window)
    return Draft(base, [one for one in changes if belongs(one.name)], resolve)


def _state(draft: Draft, reaches: Mapping[str, float], found: SegmentPreview) -> dict[str, Any]:
    """What the script needs to draw the draft."""
    settings = draft.settings
    thresholds = {name: str(value) for name, value in settings if name.endswith("_threshold")}
    return {
        "rules": settings.segments.to_json(),
        "stored": {name: text for name, text in draft.base.items() if belongs(name)},
        "defaults": {name: text for name, text in DEFAULTS.items() if belongs(name)},
        "thresholds": {name: draft.values.get(name, text) for name, text in thresholds.items()},
        "labels": {name: label(name) for name in thresholds},
        "languages": settings.messages,
        "fields": [
            {
                "name": one.name,
                "label": one.label,
                "unit": one.unit,
                "reach": reaches.get(one.name, 1),
                "step": _STEPS.get(one.name, 1),
                "missing": one.missing,
            }
            for one in FIELDS.values()
        ],
        "operators": [[str(sign), words] for sign, words in HOLDS.items()],
        "units": {Unit.DAYS: "days", Unit.PERCENT: "%"},
        "examples": _as_text(found.examples),
        "customers": found.all,
        "shares": _shares(settings),
    }


def _shares(settings: Settings) -> dict[str, dict[str, str]]:
    """What stands at each share of the draft: by threshold, or by the line of a rule."""
    return {
        one.name: {"words": one.words, "note": one.note, "number": one.number}
        for one in share_facts.share_facts(settings)
    }


def _counted(found: SegmentPreview) -> list[dict[str, Any]]:
    """What stands at each segment of the draft, ``otherwise`` last."""
    rules = found.draft.segments
    tones = segment_tones.tones(rules.names, found.computed.segments.names)
    warned = warnings(found.draft.rules)
    texted = found.draft.texted
    return [
        {
            "name": name,
            "tone": tones[name],
            "customers": formats.counted(customers, "customer"),
            "share": formats.share(customers, found.all),
            "messages": formats.counted(customers, "message") if name in texted else "not texted",
            "warnings": [one for one in warned if one.startswith(f"Segment {name} ")],
        }
        for name, customers in found.after.items()
    ]


def _bar(customers: Mapping[str, int], tones: Mapping[str, str]) -> list[tuple[str, int, str]]:
    return [(name, count, tones[name]) for name, count in customers.items()]


def _said(found: SegmentPreview) -> str:
    """The counts for a screen reader."""
    sizes = ", ".join(f"{name} {formats.number(count)}" for name, count in found.after.items())
    most = formats.counted(segment_preview.messages(found.draft, found.after), "message")
    moved = f"{formats.number(found.moved)} of {formats.counted(found.all, 'customer')} would move."
    return f"{moved} {sizes}. At most {most}."


def _shown(found: SegmentPreview) -> dict[str, Any]:
    tones = segment_tones.tones(found.draft.segments.names, found.computed.segments.names)
    names = tuple(tones)
    then, now = found.after, found.before
    cost = segment_preview.cost(found.draft, then)
    furthest = max(names, key=lambda name: abs(then.get(name, 0) - now.get(name, 0)))
    return {
        "found": found,
        "names": names,
        "tones": tones,
        "before": now,
        "after": then,
        "messages": [segment_preview.messages(found.computed, now), segment_preview.messages(found.draft, then)],
        "sms": [segment_preview.sms_segments(found.computed, now), segment_preview.sms_segments(found.draft, then)],
        "cost": cost,
        "budget": budget_cut_words.preview(found.draft, {name: then.get(name, 0) for name in found.draft.texted}),
        "seconds": segment_preview.seconds(found.draft, then),
        "furthest": furthest,
        "is_guarded": furthest in found.draft.segments.shared(found.computed.segments),
        "shift": 100 * (then.get(furthest, 0) - now.get(furthest, 0)) / found.all if found.all else 0.0,
        "bars": [_bar(side, tones) for side in (now, then)],
        "flows": flow_svg.flows(tones, found.moves, f"{formats.counted(found.moved, 'customer')} would move."),
    }


def _as_text(examples: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """Customers' ids for a script, whose numbers are exact up to 2^53 only."""
    return {name: list(map(str, ids)) for name, ids in examples.items()}
