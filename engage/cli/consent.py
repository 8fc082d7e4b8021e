"""``engage consent``: what the consent record says, and whether it is whole."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from engage import formats, parsing
from engage.cli.common import AsJson, add_row, console, database, hash_key, plain, print_json, print_table, table_of
from engage.clock import now
from engage.customers import consent_verification
from engage.errors import InputError
from engage.reports import consent_history
from engage.reports.consent_history import ConsentHistory
from engage.texts import phone

app = typer.Typer(help="The consent record: what each customer agreed to, and when.", no_args_is_help=True)


@app.command()
def show(
    number: Annotated[
        str | None, typer.Option("--phone", help="The phone, such as +12025550123.", show_default=False)
    ] = None,
    customer_id: Annotated[
        int | None,
        typer.Option("--customer", help="The customer's id.", parser=parsing.customer_id, show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="A time, such as 2026-09-14T12:00Z. By default now.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what held at a time for a phone or a customer, and the changes that led to it."""
    moment = now() if at is None else _moment(at)
    if (number is None) == (customer_id is None):
        raise InputError("`engage consent show` takes either --phone or --customer.")
    with database() as engine, engine.begin() as conn:
        if customer_id is not None:
            title, found = f"Customer {customer_id}", consent_history.of_customer(conn, customer_id, moment)
        else:
            canonical = phone.parse(number or "")
            hashed = phone.phone_hash(canonical, hash_key())
            title, found = f"Phone {phone.masked(canonical)}", consent_history.of_phone(conn, hashed, moment)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(title, found)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Find out whether a row of the record was changed or removed. Exit code 1 if so."""
    with database() as engine:
        if as_json:
            done = consent_verification.verify(engine)
            print_json(asdict(done))
            raise typer.Exit(1 if done.misfits else 0)
        done = consent_verification.require_whole(engine)
    console.print(f"The consent record is whole: {formats.counted(done.events, 'row')} fit.")


def _moment(text: str) -> datetime:
    """A time, also without seconds."""
    return parsing.moment(re.sub(r"([Tt ]\d\d:\d\d)(?![\d:])", r"\1:00", text, count=1))


def _print(title: str, found: ConsentHistory) -> None:
    console.print(plain(f"{title}, {formats.second(found.at)}"))
    for standing in found.standings:
        console.print(plain(consent_history.why(standing)))
    if not found.standings:
        console.print("No customer of whom the record knew a consent or a refusal by then.")
    if found.changes:
        table = table_of("known", "happened", "whose", "what", "source", "agreed to", "row", title="Changes")
        for one in found.changes:
            add_row(
                table,
                formats.second(one.known_at),
                formats.second(one.happened_at),
                consent_history.whose(one.customer_id),
                consent_history.said(one),
                consent_history.source(one),
                one.wording or formats.NOTHING,
                f"{one.chain}/{one.number}",
            )
        print_table(table)
    if found.later:
        console.print(f"{formats.counted(found.later, 'later change')} left out.")
