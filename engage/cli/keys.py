"""``engage keys …``: make, list and revoke the HTTP service's API keys."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from engage.cli.common import console, database
from engage.clock import now
from engage.service import api_keys
from engage.statuses import ApiScope

app = typer.Typer(help="The API keys of the HTTP service.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the client that uses the key.")],
    scope: Annotated[list[str], typer.Option(help=f"What the key may do: {', '.join(ApiScope)}; may be repeated.")],
    requests_per_second: Annotated[int, typer.Option(help="Rate limit; 0 means no limit.")] = (
        api_keys.REQUESTS_PER_SECOND
    ),
) -> None:
    """Make a key and print it. It cannot be shown again."""
    with database() as engine, engine.begin() as conn:
        text = api_keys.create(conn, name, scope, requests_per_second, as_of=now())
    print(text)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]) -> None:
    """Revoke a key. Running services refuse it after two seconds at most."""
    with database() as engine, engine.begin() as conn:
        api_keys.revoke(conn, key_id, as_of=now())
    console.print(f"The key {key_id} is revoked.")


@app.command("list")
def list_() -> None:
    """Show all keys, without their secrets."""
    with database() as engine, engine.begin() as conn:
        found = api_keys.all_keys(conn)
    table = Table("id", "name", "scopes", "requests a second", "created", "revoked")
    for key in found:
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        scopes, rate = ", ".join(sorted(key.scopes)), str(key.requests_per_second or "no limit")
        table.add_row(key.key_id, key.name, scopes, rate, f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    console.print(table)
