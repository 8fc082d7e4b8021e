"""``engage customers exclude``, ``include``, ``excluded`` and ``odd``: customers who are far beyond all others."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engage import formats, parsing
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
from engage.currency import currency
from engage.customers import exclusion
from engage.errors import NotReady
from engage.reports import odd_customers as words

Customer = Annotated[
    int, typer.Option("--customer", help="The customer's id.", parser=parsing.customer_id, show_default=False)
]


def exclude(
    customer_id: Customer,
    reason: Annotated[str, typer.Option(help="Why, such as 'test account'.", show_default=False)],
) -> None:
    """Take a customer out of the texts of every campaign, from now on."""
    why = parsing.note(reason, "The reason")
    with database() as engine, engine.begin() as conn:
        new = exclusion.exclude(conn, customer_id, reason=why, by=login(), as_of=now())
    console.print(f"Customer {customer_id} {'is' if new else 'was already'} excluded from all texts.")


def include(customer_id: Customer) -> None:
    """End a customer's exclusion."""
    with database() as engine, engine.begin() as conn:
        ended = exclusion.include(conn, customer_id)
    console.print(f"Customer {customer_id} {'is included again' if ended else 'was not excluded'}.")


def excluded(as_json: AsJson = False) -> None:
    """List the excluded customers, the latest first."""
    with database() as engine, engine.begin() as conn:
        found = exclusion.listed(conn)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        console.print("No customer is excluded.")
        return
    table = table_of("customer", "excluded", "by", "reason")
    for one in found:
        add_row(table, str(one.customer_id), formats.moment(one.excluded_at), one.excluded_by, one.reason)
    print_table(table)


def odd(window_start: WindowStart = None, as_json: AsJson = False) -> None:
    """List a campaign's odd customers, whose numbers are far beyond all others, and the limits of its window."""
    window = window_named(window_start)
    with database() as engine, engine.begin() as conn:
        found = words.report(conn, window)
    if found is None:
        raise NotReady(f"No run has looked for odd customers of the window {window} yet: its step bucket does.")
    if as_json:
        print_json(
            {"customers": [one.to_dict() for one in found.findings], "limits": [asdict(o) for o in found.limits]}
        )
        return
    for one in found.limits:
        what = f"{words.NAMES[one.measure]}, by {words.FROM[one.found_by]}: {words.limit(one, currency())}"
        console.print(plain(f"{what}; {formats.counted(one.customers, 'customer')} beyond"))
    table = table_of("customer", "what", "value", "limit", "excluded")
    for each in found.findings:
        value, most = (words.number(each.measure, n, currency()) for n in (each.value, each.most))
        add_row(
            table, str(each.customer_id), words.NAMES[each.measure], value, f"{most}, by {words.FROM[each.found_by]}",
            each.exclusion.reason if each.exclusion else formats.NOTHING,
        )  # fmt: skip
    if found.findings:
        print_table(table)
