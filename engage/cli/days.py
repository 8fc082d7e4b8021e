"""``engage days …``: days with an odd number of events, and the reasons for them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from engage import parsing
from engage.campaigns import campaign, explained_days
from engage.cli.common import (
    AsJson,
    WindowStart,
    add_row,
    console,
    database,
    login,
    plain,
    print_json,
    print_table,
    table_of,
    window_named,
)
from engage.clock import now
from engage.errors import NotReady
from engage.formats import counted
from engage.reports import days as reports
from engage.reports.days import DayRow
from engage.statuses import ExplainedSource

app = typer.Typer(help="Days with an odd number of events, and the reasons for them.", no_args_is_help=True)

Day = Annotated[str, typer.Argument(metavar="DAY", help="A day in UTC, such as 2026-09-15.", show_default=False)]
Until = Annotated[str | None, typer.Option("--until", help="Last of several days.", show_default="one day")]
Source = Annotated[ExplainedSource, typer.Option("--source", help="The kind of events that it is about.")]


@app.command("list")
def list_(window_start: WindowStart = None, as_json: AsJson = False) -> None:
    """Show the odd and the explained days of a window, by default the last complete one."""
    window = window_named(window_start)
    with database() as engine, engine.begin() as conn:
        record = campaign.find(conn, window)
        found = reports.of(conn, record) if record else None
    if found is None:
        raise NotReady(f"The days of the window {window} are not counted yet: run its extract step first.")
    if as_json:
        print_json({"days": [_data(row) for row in found.rows], "remark": found.remark})
        return
    table = table_of("day", "events", "usual", "reason", title=f"Odd and explained days of {window}")
    for row in found.rows:
        add_row(table, row.words, "\n".join(row.events), "\n".join(row.usual), _reasons(row))
    print_table(table)
    if found.remark:
        console.print(plain(found.remark))


@app.command()
def explain(
    day: Day,
    reason: Annotated[str, typer.Option("--reason", help="Why, such as a holiday.", show_default=False)],
    until: Until = None,
    source: Source = ExplainedSource.ALL,
) -> None:
    """Mark days as explained: the guard does not tell of them, and no later day is compared with them."""
    first, last = _days(day, until)
    why = parsing.note(reason, "--reason")
    with database() as engine, engine.begin() as conn:
        days = explained_days.explain(conn, first, last, source=source, reason=why, by=login(), as_of=now())
    console.print(f"Explained: {counted(days, 'day')}.")


@app.command()
def unexplain(day: Day, until: Until = None, source: Source = ExplainedSource.ALL) -> None:
    """Take the reasons of days back."""
    first, last = _days(day, until)
    with database() as engine, engine.begin() as conn:
        days = explained_days.unexplain(conn, first, last, source=source)
    console.print(f"Taken back: the reasons of {counted(days, 'day')}.")


def _days(first: str, last: str | None) -> tuple[date, date]:
    return parsing.day(first).date(), parsing.day(last or first).date()


def _reasons(row: DayRow) -> str:
    given = [
        f"{one.reason} ({one.by}{'' if one.source is ExplainedSource.ALL else f', {one.source} only'})"
        for one in row.reasons
    ]
    return "\n".join([*given, *(["odd, no reason yet"] if row.unexplained else [])])


def _data(row: DayRow) -> dict[str, object]:
    reasons = [{"source": one.source, "reason": one.reason, "by": one.by, "at": one.at} for one in row.reasons]
    return asdict(row) | {"first": str(row.first), "last": str(row.last), "reasons": reasons}
