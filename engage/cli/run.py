"""``engage run``: run one campaign without Airflow."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from engage import formats
from engage.campaigns.run_options import CLI_RUN_ID, RunOptions
from engage.cli import given_settings
from engage.cli.common import AsJson, WindowStart, console, database, print_json, window_data, window_named
from engage.cli.given_settings import RulesFile, Set
from engage.cli.report import print_report
from engage.clock import now
from engage.currency import currency
from engage.errors import NoCustomers
from engage.reports.report import report
from engage.sending import budget
from engage.sending.ledger import MessageSummary, Preview
from engage.sending.sender import SendingContext
from engage.settings import message_budget
from engage.statuses import SkipReason
from engage.steps import approve
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.measure import measure
from engage.steps.message import message
from engage.storage.database_clock import DatabaseClock


def run(
    window_start: WindowStart = None,
    set_: Set = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compute and record, but queue no message.")] = False,
    send_late: Annotated[
        bool, typer.Option("--send-late", help="Text customers although the window ended long ago.")
    ] = False,
    ignore_guard: Annotated[
        bool, typer.Option("--ignore-guard", help="Text customers although the guard found something wrong.")
    ] = False,
    *,
    segments: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Run or continue one campaign without Airflow, by default through the sandbox, which sends no real text.

    Settings come from the defaults, --set and --segments, not from Airflow's Variables.
    """
    given = given_settings.given(set_ or [], segments)
    chosen = given_settings.settings_of(given, segments)
    window = window_named(window_start)
    options = RunOptions(dry_run=dry_run, send_late=send_late, ignore_guard=ignore_guard)
    with database() as engine:
        if "require_approval" not in given:
            approve.refuse_to_bypass(engine, window)
        try:
            extract(engine, window, chosen, as_of=now(), run_id=CLI_RUN_ID, options=options)
        except NoCustomers as exc:
            if as_json:
                print_json({"window": window_data(window), "run": {"note": str(exc), "resume_at": None}})
            else:
                console.print(str(exc))
            return
        aggregate(engine, window)
        measure(engine, window, as_of=now())
        bucket(engine, window)
        done = message(engine, window, options=options, context=SendingContext(DatabaseClock(engine)))
        found = report(engine, window)
    if as_json:
        print_json(found.to_dict() | {"run": _data(done)})
        return
    print_report(found)
    if done.preview:
        _print_preview(done.preview, done.skipped_by_reason)
    if done.note:
        console.print(done.note)
    if done.resume_at:
        console.print(
            f"Some messages have to wait. Run the same command again from {done.resume_at:%Y-%m-%d %H:%M} UTC."
        )


def _data(done: MessageSummary) -> dict[str, object]:
    data: dict[str, object] = {"note": done.note, "resume_at": done.resume_at}
    if done.preview:
        data |= {"would_queue": asdict(done.preview), "would_skip": done.skipped_by_reason}
    return data


def _print_preview(preview: Preview, skipped: dict[str, int]) -> None:
    """Print what a dry run would have queued and left out."""
    table = Table("segment", "messages", "SMS segments", title="A run would have queued")
    for name, count in preview.messages.items():
        table.add_row(name, f"{count:,}", f"{preview.segments[name]:,}")
    total = sum(preview.messages.values())
    table.add_row("all", f"{total:,}", f"{sum(preview.segments.values()):,}", style="bold")
    for reason, count in skipped.items():
        table.add_row(f"skipped: {reason}", f"{count:,}", "")
    console.print(table)
    if preview.cost is not None:
        console.print(f"At most {formats.money(preview.cost, currency())} at the price of an SMS segment.")
    if preview.exceeds_budget is not None:
        limit = budget.in_words(message_budget.read(preview.exceeds_budget))
        console.print(f"That exceeds the budget of {limit}, so a run would stop before the first message.")
    if SkipReason.TOO_LATE in skipped:
        console.print("The window ended too long ago to text these customers. With --send-late a run texts them.")
