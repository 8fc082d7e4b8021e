"""``engage history …``: what customers did over several windows, shown and computed again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engage import formats, parsing
from engage.campaigns import history_rebuild
from engage.campaigns.history_rebuild import RebuiltWindow
from engage.cli import completion
from engage.cli.common import (
    AsJson,
    add_row,
    console,
    database,
    print_json,
    print_table,
    table_of,
    window_data,
    window_named,
)
from engage.currency import currency
from engage.reports import history_to_date
from engage.reports.history_to_date import HistoryToDate

_UNKNOWN = "unknown: computed by an earlier version; `engage history rebuild` fills it in"

app = typer.Typer(help="What customers did over several windows.", no_args_is_help=True)


@app.command()
def show(
    customer_id: Annotated[
        int,
        typer.Option("--customer", help="The customer's id.", parser=parsing.customer_id, show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Show what a customer did up to the end of the newest campaign's window."""
    with database() as engine, engine.begin() as conn:
        found = history_to_date.of_customer(conn, customer_id)
    if as_json:
        print_json({"customer_id": customer_id, **found.to_dict()})
        return
    table = table_of("what", "number", title=f"Customer {customer_id}, up to {formats.iso_day(found.window.end)}")
    for what, number in _rows(found):
        add_row(table, what, number)
    print_table(table)


def _rows(found: HistoryToDate) -> tuple[tuple[str, str], ...]:
    def days(number: int | None) -> str:
        return "no purchase is known" if number is None else f"{formats.counted(number, 'day')} ago"

    def amount(cents: int | None) -> str:
        return _UNKNOWN if cents is None else formats.cents(cents, currency())

    def count(number: int | None) -> str:
        return _UNKNOWN if number is None else formats.number(number)

    return (
        ("purchases to date", count(found.purchases_to_date)),
        ("windows with a session or a purchase", count(found.windows_active)),
        ("spend in the window", amount(found.spend_cents)),
        ("spend of the last 3 windows", amount(found.spend_3_windows_cents)),
        ("sessions in the window", count(found.sessions)),
        ("sessions in the last 3 windows", count(found.sessions_3_windows)),
        ("last purchase", days(found.days_since_last_purchase)),
        ("first purchase", days(found.days_since_first_purchase)),
    )


@app.command()
def rebuild(
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="First day of the first window to compute again. By default all windows.",
            show_default=False,
            autocompletion=completion.window_starts,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute again what each window carries on from the windows before it, such as purchases to date.

    It needs no events, takes one window after the other, and may be interrupted and run again. Run it once after the
    upgrade to version 0026, and after an old window was computed anew.
    """
    first = None if start is None else window_named(start)
    with database() as engine:
        done = []
        for one in history_rebuild.rebuild(engine, first):
            done.append(one)
            if not as_json:
                console.print(_sentence(one))
    if as_json:
        print_json([asdict(one) | {"window": window_data(one.window)} for one in done])
    elif not done:
        console.print("There is no window to compute again: no campaign has computed one yet.")


def _sentence(one: RebuiltWindow) -> str:
    text = f"{one.window}: {formats.counted(one.changed, 'customer')} changed."
    if one.kept:
        kept = formats.counted(one.kept, "customer keeps", "customers keep")
        text += (
            f" {kept} older numbers here, because the campaign's rules compared them. The windows after it count with "
            "the new ones."
        )
    return text
