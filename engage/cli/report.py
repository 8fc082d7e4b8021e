"""``engage report``: print a campaign's report."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from engage.cli.common import AsJson, WindowStart, console, database, plain, print_json, window_named
from engage.currency import currency
from engage.formats import counted, moment, money
from engage.reports import budget_cut_words
from engage.reports import lift_words as words
from engage.reports import report as reports
from engage.reports.lift import CampaignLift, Stage
from engage.reports.report import Report
from engage.reports.share_facts import share_facts
from engage.statuses import MessageStatus, Metric


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
        if found.lift:
            print_lift(found.lift)


def print_report(found: Report) -> None:
    """Print a report as tables."""
    window = found.window
    console.print(f"\n[bold]Campaign {window['start'][:10]} to {window['end'][:10]}[/] ({found.status.label})")
    console.print(_buckets(found))
    for one in share_facts(found.record.settings) if found.record.settings else ():
        console.print(plain(f"{one.sentence} {one.note}".rstrip()))
    console.print(_messages(found))
    if found.cost is not None:
        charged = found.messages["charged_segments"]
        console.print(f"Cost: {money(found.cost, currency())}, {counted(charged, 'SMS segment')}")
    if cut := budget_cut_words.head(found.record):
        console.print(plain(" ".join((f"{cut}.", *budget_cut_words.sentences(found.record)))))
    for entry in found.messages["unknown"]:
        since = f"{entry['phone']}, {entry['sending_at'][:16]}"
        console.print(plain(f"Unknown: customer {entry['customer_id']}, phone {since}: {entry['error']}"))
    if window["approval"]:
        console.print(plain(window["approval"]))
    if window["halted"]:
        console.print(Text.assemble(("Halted", "red"), " ", plain(window["halted"])))
    guard = found.record.guard
    _print_guard(**found.guard, ignored=bool(guard.ignored_by and guard.stopping))
    events = ", ".join(f"{count:,} {kind}" for kind, count in found.events.items())
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in found.rejected.items() if count) or "none"
    console.print(f"Events: {events}; rejected: {rejected}")
    if found.record.pulled:
        console.print(plain(f"Source {found.record.pulled.words}"))
    print_seconds("Seconds by step, inside Postgres", found.timings)


def print_lift(found: CampaignLift) -> None:
    """Print what a campaign's texts did: sentences, then a row for each segment, text and metric."""
    if found.stage is Stage.NOT_TEXTED:
        return
    console.print(
        "\n[bold]What the texts did[/]" + (f" (measured {moment(found.measured_at)})" if found.measured else "")
    )
    if way_on := words.how_to_measure(found):
        console.print(plain(way_on))
    for one in found.measured:
        for said in words.sentences(found, one, currency()):
            console.print(plain(said))
    for metric in found.metrics if found.measured else ():
        console.print(_lifts(found, metric))
    if found.measured:
        console.print(_groups(found))
    for code in found.redemptions:
        console.print(f"Codes, {code.segment}, text {code.variant}: {code.given:,} given, {code.redeemed:,} redeemed")


def _lifts(found: CampaignLift, metric: Metric) -> Table:
    decides = ", which decides" if metric is found.primary else ""
    table = Table("segment", "texted", "holdout", "difference", "95% interval", title=words.NAMES[metric] + decides)
    for one in found.measured:
        for text in one.texts:
            about = text.metrics[metric]
            levels = [words.level(metric, value, currency()) for value in (about.texted, about.holdout)]
            table.add_row(
                one.segment if text.variant is None else f"  text {text.variant}",
                *levels,
                words.difference(metric, about.lift, currency())
                if about.lift
                else words.FINDINGS[about.verdict.finding],
                words.interval(metric, about.lift, currency()),
            )
    return table


def _groups(found: CampaignLift) -> Table:
    table = Table("segment", "texted", "holdout", "planned", "ratio p", "smallest effect", "for +10%", title="Groups")
    for one in found.measured:
        about = one.whole.metrics[found.primary]
        table.add_row(
            one.segment,
            f"{one.whole.texted.customers:,}",
            f"{one.holdout.customers:,}",
            words.percent(one.planned_holdout),
            words.p(one.sample_ratio_p),
            words.smallest(about, currency()),
            words.holdout_for_tenth(about),
        )
    return table


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


def _print_guard(findings: list[str], ignored_by: str | None, *, ignored: bool) -> None:
    for sentence in findings:
        console.print(Text.assemble(("Guard:", "yellow"), " ", plain(sentence)))
    if ignored:
        console.print(plain(f"It was ignored by the run {ignored_by}"))
