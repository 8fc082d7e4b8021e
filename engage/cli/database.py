"""``engage db upgrade``: bring the database's schema up to date."""

from __future__ import annotations

import typer

from engage.cli.common import console, database, hash_key
from engage.clock import now
from engage.storage import migrations

app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the schema up to date, and make the partitions of the current window and the next two.

    The database roles of the server's parts, if they exist, get their rights again.
    With a database of customers it may need ENGAGE_HASH_KEY, the same as the service's.
    """
    with database(new=True, upgraded=False) as engine:
        roles = migrations.upgrade(engine, now(), hash_key=hash_key)
    granted = f" These roles have their rights: {', '.join(roles)}." if roles else ""
    console.print(f"The database is up to date.{granted}")
