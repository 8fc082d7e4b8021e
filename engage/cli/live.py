"""``engage live``: the running window with what is there so far, and where it leads."""

from __future__ import annotations

from typing import Annotated

import typer

from engage import formats
from engage import live as live_window_room
from engage.campaigns import live_window
from engage.campaigns.live_window import LiveWindow
from engage.cli import given_settings
from engage.cli.common import AsJson, add_row, console, database, print_json, print_table, table_of
from engage.cli.given_settings import RulesFile, Set
from engage.currency import currency
from engage.errors import InputError, NotReady
from engage.reports import live_window as words
from engage.storage.database_clock import DatabaseClock


def live(
    compute: Annotated[bool, typer.Option("--compute", help="Compute it now, and do not wait for its hour.")] = False,
    set_: Set = None,
    *,
    segments: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the running window: customers, spend and segments so far, and a projection to its end.

    No message comes of it. The DAG engage_maintenance computes it each day by Airflow's Variables. --compute does so
    now, by the defaults, --set and --segments.
    """
    given = given_settings.given(set_ or [], segments)
    if given and not compute:
        raise InputError("--set and --segments are for --compute; without it nothing is computed.")
    chosen = given_settings.settings_of(given, segments)
    with database() as engine:
        now = DatabaseClock(engine)()
        if compute:
            live_window_room.compute(engine, chosen, as_of=now)
        with engine.connect() as conn:
            found = live_window.running(conn, now)
    if found is None:
        raise NotReady(words.NOT_COMPUTED)
    if as_json:
        print_json(words.to_dict(found))
        return
    _print(found)


def _print(found: LiveWindow) -> None:
    ahead, money = found.projection, currency()
    console.print(
        f"The window {found.window} as of {formats.moment(found.as_of)}, {formats.counted(found.days_left, 'day')} left"
    )
    table = table_of("", "so far", *(["projection"] if ahead else []), title="Running window")

    def row(name: str, so_far: str, then: str) -> None:
        add_row(table, name, so_far, *([then] if ahead else []))

    row("customers", formats.number(found.customers), formats.NOTHING)
    for kind, count in found.events.items():
        row(kind, formats.number(count), formats.number(ahead.events[kind] if ahead else None))
    spend = formats.cents(ahead.total_spend_cents if ahead else None, money)
    row("spend", formats.cents(found.total_spend_cents, money), spend)
    for name, count in found.in_order(found.buckets).items():
        row(f"in {name}", formats.number(count), formats.number(ahead.buckets.get(name) if ahead else None))
    if ahead:
        row("messages", formats.NOTHING, formats.number(ahead.messages))
        row("cost, at most", formats.NOTHING, formats.money(found.cost, money))
    print_table(table)
    for one in words.findings(found):
        console.print(f"Guard{', by the projection' if one.projected else ''}: {one.sentence}")
    if over := words.budget(found):
        console.print(f"Budget, by the projection: {over}.")
    if why := words.why_no_projection(found):
        console.print(why)
