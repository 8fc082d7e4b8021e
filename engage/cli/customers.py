"""``engage customers``: erase a customer, and what ``exclusions`` has."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa
import typer

from engage.cli import exclusions
from engage.cli.common import AsJson, CustomerId, console, database, login, plain, print_json
from engage.clock import now
from engage.customers import erasure
from engage.errors import ArchiveError

app = typer.Typer(help="Customers: forget one, list odd ones, exclude one.", no_args_is_help=True)

for command in (exclusions.odd, exclusions.exclude, exclusions.include, exclusions.excluded):
    app.command()(command)


@app.command()
def forget(customer_id: CustomerId, as_json: AsJson = False) -> None:
    """Erase a customer, and never text their phone again. The campaigns' counts stay.

    The archive is reached too, at once if ENGAGE_ARCHIVE_URL is set, otherwise by the maintenance. Backups and the
    database server's logs are not reached.
    """
    with database() as engine:
        done = erasure.forget(engine, customer_id, as_of=now(), actor=login())
        archive = _archive_sentence(engine) if done.archive_waits else None
    if as_json:
        print_json({"customer_id": customer_id, **asdict(done), "archive": archive})
        return
    if done.known or done.events or done.messages:
        console.print(
            f"Customer {customer_id} is forgotten: {done.events} events deleted, {done.messages} messages made "
            "anonymous, the phone suppressed."
        )
    else:
        console.print(f"There is no customer {customer_id}, or the customer was forgotten before.")
    if archive:
        console.print(plain(archive), soft_wrap=True)


def _archive_sentence(engine: sa.Engine) -> str:
    """Erase forgotten customers from the archive, if it is within reach, and say what became of it."""
    from engage.archive import erasure as archive_erasure  # noqa: PLC0415 - it loads pyarrow
    from engage.archive import place  # noqa: PLC0415

    later = "The archive may still hold the customer's events; the next run of the maintenance erases them."
    try:
        where = place.configured()
        if where is None:
            return f"{later} To do it at once, set ENGAGE_ARCHIVE_URL and run `engage archive`."
        archive_erasure.erase(engine, where)
    except ArchiveError as exc:
        return f"{later} It could not be done at once: {exc}"
    return "The customer's events are erased from the archive too."
