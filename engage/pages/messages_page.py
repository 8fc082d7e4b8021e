"""The page *Messages*: the messages of a window, filtered; and the page about one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from engage import formats
from engage.campaigns import campaign, status
from engage.campaigns.campaign import Campaign
from engage.campaigns.message_counts import MessageCounts
from engage.errors import NotReady
from engage.pages import segment_tones
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports import message_detail, message_list, message_words
from engage.reports.message_list import Filters
from engage.statuses import MESSAGE_MOVES, MessageStatus
from engage.window import Window

SHOWN = 50
"""Messages on one page of the list."""
WINDOWS = 26
"""Windows to choose from: four years."""
OUTCOMES = {
    MessageStatus.DELIVERED: "Delivered: the customer has it",
    MessageStatus.SENT: "Sent: the network has it",
    MessageStatus.ACCEPTED: "Accepted: the provider has it",
    MessageStatus.UNDELIVERED: "Undelivered: it did not arrive",
    MessageStatus.FAILED: "Failed: it never went out",
}
"""What a message of unknown outcome may be settled as, in words."""

Option = tuple[str, str]
"""A value of a field, and its text."""
Chip = tuple[str, str, bool]
"""A filter's name, its address, and whether it is the current one."""


def messages_page(
    engine: sa.Engine,
    viewer: Viewer,
    window: Window | None,
    filters: Filters,
    *,
    after: int | None = None,
    before: int | None = None,
) -> str:
    """The HTML of the messages of ``window``, by default the latest campaign with messages.

    ``after`` and ``before`` are customer ids between which parts of the list lie.

    Raises:
        NotReady: the window has no campaign.
    """
    with engine.begin() as conn:
        counts = _windows(conn, window)
        window = window or next((one for one, its in counts.items() if its.total), None)
        if window is None:
            return html("messages.html", viewer=viewer, window=None)
        kept = counts[window]
        found = campaign.find(conn, window)
        total = filters.counted(kept)
        nothing = message_list.Page([], None, None)
        page = (
            nothing if total == 0 else message_list.page(conn, window, filters, limit=SHOWN, after=after, before=before)
        )
    names = _segments(found, kept)
    return html(
        "messages.html",
        viewer=viewer,
        window=window,
        windows=[(formats.iso_day(one.start), _named(one, its)) for one, its in counts.items()],
        filters=filters,
        query=filters.query(),
        total=total,
        all=kept.total,
        unknown=kept.count(status=MessageStatus.UNKNOWN),
        page=page,
        chips=_chips(window, filters, kept),
        reasons=_options(filters, kept, "reason", message_words.REASONS),
        facts=_options(filters, kept, "fact", message_words.FACTS),
        tones=segment_tones.tones(names),
        segments=_options(filters, kept, "segment", {name: name for name in (*names, filters.segment) if name}),
        outcomes=_outcomes(),
        settled={"window_start": formats.iso_day(window.start), "customer_id": ""},
        export={"window_start": formats.iso_day(window.start)} | filters.query(),
        here=lambda **more: address(window, filters, **more),
    )


def message_page(engine: sa.Engine, viewer: Viewer, window: Window, customer_id: int) -> str:
    """The HTML about one message.

    Raises:
        NoSuchMessage: the ledger has none.
    """
    with engine.begin() as conn:
        found = message_detail.message_to(conn, window, customer_id)
        its_campaign = campaign.find(conn, window)
    names = _segments(its_campaign, MessageCounts())
    return html(
        "message.html",
        viewer=viewer,
        tones=segment_tones.tones(names),
        message=found,
        several_texts=bool(its_campaign and found.segment in (its_campaign.variants or {})),
        outcomes=_outcomes(),
        settled={"window_start": formats.iso_day(window.start), "customer_id": customer_id},
    )


def address(window: Window, filters: Filters, *, path: str = "messages", **more: object) -> str:
    """The address of a filtered list. ``more`` are further parameters, such as ``after``."""
    return f"{path}?{urlencode({'window_start': formats.iso_day(window.start)} | filters.query() | more)}"


def _windows(conn: sa.Connection, wanted: Window | None) -> dict[Window, MessageCounts]:
    """The latest windows with messages, newest first, with their counts; and ``wanted``, whether it has any or not."""
    found = {one.window: one for one in campaign.find_all(conn, limit=WINDOWS)}
    if wanted and wanted not in found:
        other = campaign.find(conn, wanted)
        if other is None:
            raise NotReady(f"There is no campaign for the window {wanted}, and so there is no message.")
        found[wanted] = other
    both = zip(found, status.counts_of(conn, list(found.values())), strict=True)
    counts = {window: its for window, its in both if its.total or window == wanted}
    return dict(sorted(counts.items(), key=lambda one: one[0], reverse=True))


def _segments(found: Campaign | None, counts: MessageCounts) -> list[str]:
    """The segments of the window's campaign in order, and those that only its messages have."""
    known = found.settings.segments.names if found and found.settings else ()
    return [*(name for name in counts.buckets if name not in known), *known]


def _named(window: Window, counts: MessageCounts) -> str:
    return f"{formats.days(window.start, window.end)}: {formats.counted(counts.total, 'message')}"


def _chips(window: Window, filters: Filters, counts: MessageCounts) -> list[Chip]:
    """A link for each status that the messages have."""
    chips = []
    for one in (None, *MessageStatus):
        others = filters.with_(status=one, reason=filters.reason if one in (None, MessageStatus.SKIPPED) else None)
        count = others.counted(counts)
        if one is None or one == filters.status or (counts.count(status=one) and count != 0):
            name = "All" if one is None else str(one).capitalize()
            label = name if count is None else f"{name} {formats.number(count)}"
            chips.append((label, address(window, others), one == filters.status))
    return chips


def _options(filters: Filters, counts: MessageCounts, name: str, words: Mapping[Any, str]) -> list[Option]:
    """The values that the messages have for one filter, each with its words and count; and the chosen one."""
    chosen, options = getattr(filters, name), []
    for value, text in words.items():
        count = filters.with_(**{name: value}).counted(counts)
        if value == chosen or count or (count is None and _known(counts, name, value)):
            options.append((str(value), text if count is None else f"{text} ({formats.number(count)})"))
    return options


def _known(counts: MessageCounts, name: str, value: str) -> int:
    return counts.count(**{"bucket" if name == "segment" else name: value})


def _outcomes() -> list[Option]:
    return [(str(one), OUTCOMES[one]) for one in OUTCOMES if one in MESSAGE_MOVES[MessageStatus.UNKNOWN]]
