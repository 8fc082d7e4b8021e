"""``engage report``: print a campaign's report."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from engage.cli.common import AsJson, WindowStart, console, database, plain, print_json, window_named
from engage.currency import currency
from engage.formats import counted, money
from engage.reports import report as reports
from engage.reports.report import Report
from engage.statuses import MessageStatus


def report(
    window_start: WindowStart = None,
    as_json: AsJson = False,
) -> None:
    """Show a campaign's report, by default the latest campaign's."""
    window = None if window_start is None else window_named(window_start)
    with database() as engine:
        found = reports.report(engine, window)
    if as_json:
        print_json(found.to_dict())
    else:
        print_report(found)


def print_report(found: Report) -> None:
    """Print a report as tables."""
    window = found.window
    console.print(f"\n[bold]Campaign {window['start'][:10]} to {window['end'][:10]}[/] ({found.status.label})")
    console.print(_buckets(found))
    console.print(_messages(found))
    if found.cost is not None:
        charged = found.messages["charged_segments"]
        console.print(f"Cost: {money(found.cost, currency())}, {counted(charged, 'SMS segment')}")
    for entry in found.messages["unknown"]:
        since = f"{entry['phone']}, {entry['sending_at'][:16]}"
        console.print(plain(f"Unknown: customer {entry['customer_id']}, phone {since}: {entry['error']}"))
    if window["approval"]:
        console.print(plain(window["approval"]))
    if window["halted"]:
        console.print(Text.assemble(("Halted", "red"), " ", plain(window["halted"])))
    _print_guard(**found.guard)
    events = ", ".join(f"{count:,} {kind}" for kind, count in found.events.items())
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in found.rejected.items() if count) or "none"
    console.print(f"Events: {events}; rejected: {rejected}")
    print_seconds("Seconds by step, inside Postgres", found.timings)


def print_seconds(title: str, seconds: dict[str, float]) -> None:
    """Print a time in seconds for each name, on one line."""
    console.print(f"{title}: " + ", ".join(f"{name} {took:.2f}" for name, took in seconds.items()))


def _buckets(found: Report) -> Table:
    table = Table("segment", "customers", "share", title="Segments")
    for name, count in found.buckets.items():
        table.add_row(name, f"{count:,}", f"{count / (found.customers or 1):.1%}")
    table.add_row("all", "not computed" if found.customers is None else f"{found.customers:,}", "", style="bold")
    return table


def _messages(found: Report) -> Table:
    table = Table("status", "reason", "messages", title="Messages")
    for status, count in found.messages["by_status"].items():
        if status != MessageStatus.SKIPPED:
            table.add_row(status, "", f"{count:,}")
    for reason, count in found.messages["skipped_by_reason"].items():
        table.add_row(MessageStatus.SKIPPED, reason, f"{count:,}")
    return table


def _print_guard(findings: list[str], ignored_by: str | None) -> None:
    for sentence in findings:
        console.print(Text.assemble(("Guard:", "yellow"), " ", plain(sentence)))
    if findings and ignored_by:
        console.print(plain(f"It was ignored by the run {ignored_by}"))
