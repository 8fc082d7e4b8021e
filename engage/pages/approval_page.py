"""The page *Approval*: a campaign's list before it goes out, for the approver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import approvers
from engage.campaigns.approvers import Approvers
from engage.campaigns.campaign import Campaign
from engage.campaigns.message_counts import MessageCounts
from engage.pages import addresses, campaign_stepper, message_outcome
from engage.pages.render import html
from engage.pages.segment_tones import tones
from engage.pages.viewer import Viewer
from engage.reports import attention, holdout_reach, message_texts, report
from engage.reports.approval_checks import checks
from engage.reports.campaign_list import comparable
from engage.reports.report import Report
from engage.settings import Settings
from engage.statuses import ApprovalState, SkipReason
from engage.storage import connection
from engage.window import Window

EXAMPLES = 3
"""Customers of each segment whose texts are shown."""
SHOWN = 10
"""Customers of the list that are shown."""


@dataclass(frozen=True)
class Question:
    """A run's question about the list, as Airflow has it."""

    run_id: str
    open: bool
    answered_by: str | None = None
    approved: bool | None = None
    """The answer, which the run has yet to record; None without one."""


def approval_page(
    engine: sa.Engine,
    viewer: Viewer,
    window: Window,
    *,
    ask: Callable[[Sequence[str]], Question | None] = lambda _: None,
    who: Callable[[sa.Connection, Campaign], Approvers] = lambda _, found: approvers.of(found),
    user: str = "",
    sees_edits: Callable[[], bool] = lambda: False,
    rate: float | None = None,
    after: int = 0,
    as_of: datetime,
) -> str:
    """The HTML of the page about the window's list, for ``user``.

    ``ask`` finds Airflow's question of one of these runs. ``who``: finds the users who may approve.
    ``sees_edits``: whether the user may see which other user changed a setting. ``rate``: messages a second, as set at
    the moment.
    ``after``: the texts are those to customers with greater ids.

    Raises:
        NotReady: the window has no campaign.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        found = report.of(conn, window, whole=False)
        settings, counts = found.record.settings, found.counts
        users = who(conn, found.record) if settings else None
        texts, people, last, reaches = [], [], None, []
        if settings and counts and counts.eligible:
            drawn = found.record.variants
            texts = message_texts.texts(
                conn, window, settings, counts, drawn, examples=EXAMPLES, after=after, thorough=True
            )
            people = message_texts.recipients(conn, window, limit=SHOWN)
            reaches = holdout_reach.reaches(conn, window, settings, _arms(settings, counts))
            against = comparable(conn, window).default
            last = report.of(conn, against, whole=False) if against else None
    approval = found.record.approval
    question = ask(approval.asking_runs)
    figures = _figures(found, settings, counts or MessageCounts(), rate, last)
    return html(
        "approval.html",
        viewer=viewer,
        report=found,
        record=found.record,
        window=window,
        question=question if approval.state is ApprovalState.REQUESTED else None,
        users=users if users and users.named else None,
        refusal=users.refusal(user) if users else None,
        sees_edits=bool(users and users.named and sees_edits()),
        list=formats.iso(found.record.frozen_at) if found.record.frozen_at else None,
        as_of=as_of,
        until=_until(found, question),
        tones=tones(settings.segments.names if settings else ()),
        texts=texts,
        next_example=_next_example(window, texts),
        people=people,
        **figures,
        checks=checks(found.record, as_of=as_of, waiting=figures["listed"], reaches=reaches) if settings else [],
    )


def _arms(settings: Settings, counts: MessageCounts) -> dict[str, tuple[int, int]]:
    """The customers who are to be texted, and those held out, by segment."""
    return {
        name: (counts.count(bucket=name, reason=None), counts.count(bucket=name, reason=SkipReason.HOLDOUT))
        for name in settings.texted
    }


def _figures(
    found: Report, settings: Settings | None, counts: MessageCounts, rate: float | None, last: Report | None
) -> dict[str, Any]:
    """The figures at the top."""
    window = found.record.window
    texted = settings.texted if settings else ()
    listed = {name: count for name in texted if (count := counts.count(bucket=name, reason=None))}
    segments = attention.expected_segments(settings, listed) if settings else 0
    return {
        "listed": listed,
        "messages": counts.eligible,
        "rejected": counts.count(reason=SkipReason.REJECTED),
        "segments": segments,
        "cost": settings.cost(segments) if settings else None,
        "left_out": message_outcome.skipped(counts, window, without=SkipReason.REJECTED),
        "hours": settings.sending_hours if settings and settings.strict else None,
        "rate": campaign_stepper.rate_in_words(rate) if rate else None,
        "takes": timedelta(seconds=round(counts.eligible / rate)) if rate else None,
        "last": last,
        "shares": _shares(found, last),
    }


def _shares(found: Report, last: Report | None) -> Mapping[str, str]:
    """How the share of each segment differs from the last campaign that was sent."""
    if last is None or not (found.buckets and last.buckets and found.customers and last.customers):
        return {}
    return {
        name: formats.points(100 * last.buckets[name] / last.customers, 100 * found.buckets[name] / found.customers)
        for name in found.buckets
        if name in last.buckets
    }


def _until(found: Report, question: Question | None) -> datetime | None:
    asked = found.record.approval.asked
    return asked[question.run_id].until if question and question.run_id in asked else None


def _next_example(window: Window, texts: list[message_texts.TextTo]) -> str | None:
    """The address of the page with texts to other customers; None where all texts are the same."""
    ids = [one.customer_id for text in texts for one in text.examples if one.customer_id]
    return addresses.approval(window, after=str(max(ids))) + "#texts" if ids else None
