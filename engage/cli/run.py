"""``engage run``: run one campaign without Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engage import formats, settings
from engage.campaigns.run_options import CLI_RUN_ID, RunOptions
from engage.cli import completion
from engage.cli.common import AsJson, WindowStart, console, database, print_json, window_data, window_named
from engage.cli.report import print_report
from engage.clock import now
from engage.currency import currency
from engage.errors import InputError, NoCustomers
from engage.reports.report import report
from engage.sending.ledger import MessageSummary, Preview
from engage.sending.sender import SendingContext
from engage.settings import Settings
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
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting other than its default; may be repeated.",
            autocompletion=completion.settings,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compute and record, but queue no message.")] = False,
    send_late: Annotated[
        bool, typer.Option("--send-late", help="Text customers although the window ended long ago.")
    ] = False,
    ignore_guard: Annotated[
        bool, typer.Option("--ignore-guard", help="Text customers although the guard found something wrong.")
    ] = False,
    *,
    segments: Annotated[
        Path | None,
        typer.Option(
            "--segments",
            metavar="FILE",
            help="A JSON file with the segments and their rules, as docs/segments.md shows.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run or continue one campaign without Airflow, by default through the sandbox, which sends no real text.

    Settings come from the defaults, --set and --segments, not from Airflow's Variables.
    """
    given = _given(set_ or [], segments)
    chosen = _settings(given, segments)
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
        budget = formats.money(preview.exceeds_budget, currency())
        console.print(f"That exceeds the budget of {budget}, so a run would stop before the first message.")
    if SkipReason.TOO_LATE in skipped:
        console.print("The window ended too long ago to text these customers. With --send-late a run texts them.")


def _settings(given: Mapping[str, str], rules: Path | None) -> Settings:
    def label(name: str) -> str:
        return f"--segments {rules}" if rules and name == "segments" else f"--set {name}"

    chosen = settings.validate(given, label=label)
    settings.require_named(chosen, given, label=label)
    return chosen


def _given(pairs: list[str], rules: Path | None) -> dict[str, str]:
    """The settings that the command line gives."""
    found = _assignments(pairs)
    if rules is None:
        return found
    if "segments" in found:
        raise InputError("--set segments and --segments both give rules; give only one of them.")
    try:
        return found | {"segments": rules.read_text("utf-8")}
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise InputError(f"--segments {rules} cannot be read: {why}.") from None


def _assignments(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set {pair} has no value; write --set name=value, such as low_spend_threshold=120.")
    return dict(pair.split("=", 1) for pair in pairs)
