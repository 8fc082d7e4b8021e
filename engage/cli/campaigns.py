"""``engage campaigns``: list the campaigns with their statuses."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

import typer
from rich.text import Text

from engage.cli.common import console, database, print_table, table_of
from engage.currency import currency
from engage.formats import money
from engage.reports.campaign_list import ListedCampaign, listed
from engage.reports.share_facts import shown
from engage.segments import DEFAULT

SHOWN = 13
"""Two years of campaigns."""
NOT_COMPUTED = "not computed"


def campaigns(
    limit: Annotated[int, typer.Option(min=1, help="Number of campaigns to show.")] = SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List the latest campaigns, newest first: status, customers, segments, messages, cost, thresholds."""
    with database() as engine, engine.begin() as conn:
        found = listed(conn, limit=limit + 1)
    if as_json:
        print(json.dumps([one.to_dict() for one in found[:limit]], indent=2))
        return
    if not found:
        console.print("There is no campaign yet: trigger a run of the DAG first, or use `engage run`.")
        return
    names = ("window", "status", "customers", "segments", "messages", "cost", "thresholds")
    table = table_of(*names, title="Campaigns", whole="window")
    for one in found[:limit]:
        table.add_row(*map(Text, _cells(one)))
    print_table(table)
    if len(found) > limit:
        console.print("There are more campaigns; --limit shows them.")


def _cells(one: ListedCampaign) -> tuple[str, ...]:
    """The campaign as a row of the table. Its cost is the segments that the provider has accepted."""
    charged = one.messages.charged_segments
    return (
        f"{one.window.start:%Y-%m-%d} to\n{one.window.end:%Y-%m-%d}",
        one.status.label,
        NOT_COMPUTED if one.customers is None else f"{one.customers:,}",
        _counts(one.buckets) or NOT_COMPUTED,
        _counts(one.messages.by_status) or "none",
        "\n".join(filter(None, (_money(one), f"{charged:,}\nSMS segments"))) if charged else "none",
        _thresholds(one),
    )


def _thresholds(one: ListedCampaign) -> str:
    """The thresholds that the rules name; those of the usual rules need no name."""
    settings = one.campaign.settings
    if settings is None:
        return NOT_COMPUTED
    if settings.segments == DEFAULT:
        low = shown(settings, "low_spend_threshold", "{:.2f}".format)
        return f"< {low}\n> {shown(settings, 'high_activity_threshold', _short)}"
    named = (f"{name.removesuffix('_threshold')} {shown(settings, name, _short)}" for name in settings.thresholds)
    return "\n".join(named) or "none"


def _short(number: Decimal) -> str:
    return f"{float(number):g}"


def _money(one: ListedCampaign) -> str:
    return "" if one.cost is None else money(one.cost, currency())


def _counts(counts: dict[str, int]) -> str:
    return "\n".join(f"{count:,} {name}" for name, count in counts.items())
