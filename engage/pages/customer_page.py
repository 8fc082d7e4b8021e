"""The page *Customer*: one customer's numbers, bucket and message in each campaign; and the search for customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from engage import formats, parsing
from engage.currency import currency
from engage.pages import charts
from engage.pages.charts import Chart, Point, Tones
from engage.pages.render import html
from engage.pages.segment_tones import tones
from engage.pages.threshold_words import SESSIONS, SPEND, default, rule_line
from engage.pages.viewer import Viewer
from engage.reports import consent_history, customer_history, customer_overview, customer_search, return_score
from engage.reports.customer_history import InCampaign
from engage.settings import Settings

SHOWN = 26
"""Campaigns on the page: four years."""
SHOWN_CHANGES = 20
"""Changes of consent on the page, latest first."""
_USUAL = {
    SPEND: "The dashed line: BOOST is below it.",
    SESSIONS: "The dashed line: REWARD is above it, unless the spend is low.",
}


def customer_page(
    engine: sa.Engine, viewer: Viewer, customer_id: str | None, settings: Settings, *, as_of: datetime
) -> str:
    """The HTML about a customer, or without an id only the search. ``settings`` are those of the moment.

    Raises:
        InputError: the text is not a whole number in the range of ids.
        NoSuchCustomer: no customer has this id.
    """
    if not customer_id:
        return html("customer.html", viewer=viewer, customer=None)
    wanted = parsing.customer_id(customer_id.strip())
    with engine.begin() as conn:
        customer = customer_history.view(conn, wanted)
        overview = customer_overview.overview(conn, wanted, settings, as_of=as_of)
        campaigns = customer_history.history(conn, wanted, limit=SHOWN)
        messages = customer_overview.texts(conn, wanted, limit=SHOWN)
        consent = consent_history.of_customer(conn, wanted, as_of)
        score = return_score.explain(conn, campaigns[0], amount=_cents) if campaigns else None
    colours = tones(*(one.settings.segments.names for one in campaigns))
    return html(
        "customer.html",
        viewer=viewer,
        customer=customer,
        overview=overview,
        campaigns=campaigns,
        messages=messages,
        score=score,
        consent=consent.changes[-SHOWN_CHANGES:][::-1],
        consent_words=consent_history,
        why=_why,
        tones=colours,
        legend=[(name, tone) for name, tone in colours.items() if any(name == one.bucket for one in campaigns)],
        charts=_charts(campaigns[::-1], colours) if campaigns else (),
        captions=[_caption(campaigns, field) for field in (SPEND, SESSIONS)],
    )


def results(engine: sa.Engine, text: str, *, full_phone: bool) -> tuple[int | None, str]:
    """The id of the only customer whom a typed text means, or the HTML of several.

    ``full_phone``: whether the user may search by a full phone number.

    Raises:
        InputError: the text means nothing, or it is a number that the user may not search by.
        NoSuchCustomer: none is found.
    """
    with engine.begin() as conn:
        found = customer_search.search(conn, text, full_phone=full_phone)
    if len(found.matches) == 1 and not found.more:
        return found.matches[0].customer_id, ""
    return None, html("customer_results.html", found=found)


def _why(one: InCampaign) -> str:
    return one.why(amount=_amount, number=formats.number)


def _cents(value: int) -> str:
    return formats.cents(value, currency())


def _amount(value: Decimal) -> str:
    return formats.threshold(value, currency())


def _charts(campaigns: Sequence[InCampaign], colours: Tones) -> tuple[Chart, Chart]:
    """Spend and activity over the campaigns, oldest first, against each campaign's thresholds."""
    spend = [_point(one, one.total_spend_cents / 100, SPEND) for one in campaigns]
    sessions = [_point(one, one.avg_weekly_sessions, SESSIONS) for one in campaigns]
    return (
        charts.by_campaign("Spend", spend, colours, money=True, threshold=_line(campaigns, SPEND)),
        charts.by_campaign("Sessions a week", sessions, colours, threshold=_line(campaigns, SESSIONS)),
    )


def _point(one: InCampaign, value: float, field: str) -> Point:
    name = formats.days(one.window.start, one.window.end)
    line = rule_line(one.settings, field)
    short = f"{one.window.start.day} {one.window.start:%b}"
    return Point(short, name, value, one.bucket, float(line.value) if line else None)


def _caption(campaigns: Sequence[InCampaign], field: str) -> str | None:
    """What the dashed line of a chart means."""
    if _line(campaigns, field) is None:
        return None
    if all(default(one.settings) for one in campaigns):
        return _USUAL[field]
    return "The dashed line: the first number that each campaign's rules compare with it."


def _line(campaigns: Sequence[InCampaign], field: str) -> str | None:
    """What the lines mean, if all campaigns agree; None without a line."""
    names = {line.name for one in campaigns if (line := rule_line(one.settings, field))}
    return next(iter(names)) if len(names) == 1 else ("Threshold" if names else None)
