"""``engage customers``: erase a customer, and what ``exclusions`` has."""

from __future__ import annotations

from dataclasses import asdict

import typer

from engage.cli import exclusions
from engage.cli.common import AsJson, CustomerId, console, database, login, print_json
from engage.clock import now
from engage.customers import erasure

app = typer.Typer(help="Customers: forget one, list odd ones, exclude one.", no_args_is_help=True)

for command in (exclusions.odd, exclusions.exclude, exclusions.include, exclusions.excluded):
    app.command()(command)


@app.command()
def forget(customer_id: CustomerId, as_json: AsJson = False) -> None:
    """Erase a customer, and never text their phone again. The campaigns' counts stay.

    Backups and the database server's logs are not reached.
    """
    with database() as engine:
        done = erasure.forget(engine, customer_id, as_of=now(), actor=login())
    if as_json:
        print_json({"customer_id": customer_id, **asdict(done)})
        return
    if not (done.known or done.events or done.messages):
        console.print(f"There is no customer {customer_id}, or the customer was forgotten before.")
        return
    console.print(
        f"Customer {customer_id} is forgotten: {done.events} events deleted, {done.messages} messages made anonymous, "
        "the phone suppressed."
    )
