"""``engage keys …``: make, list and revoke the HTTP service's API keys."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

import typer

from engage import parsing
from engage.cli import completion
from engage.cli.common import AsJson, add_row, console, database, plain, print_json, print_table, table_of
from engage.clock import now
from engage.service import api_keys
from engage.statuses import ApiScope

app = typer.Typer(help="The API keys of the HTTP service.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the client that uses the key.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help=f"What the key may do: {', '.join(ApiScope)}; may be repeated.", autocompletion=completion.scopes
        ),
    ],
    owner: Annotated[
        str | None, typer.Option(help="The client; its keys share idempotency keys.", show_default="the name")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="Last day of the key in UTC, such as 2027-01-31.", show_default="never")
    ] = None,
    requests_per_second: Annotated[int, typer.Option(help="Rate limit; 0 means no limit.")] = (
        api_keys.REQUESTS_PER_SECOND
    ),
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It cannot be shown again."""
    expires_at = None if expires is None else parsing.day(expires) + timedelta(days=1)
    with database(new=True) as engine, engine.begin() as conn:
        text = api_keys.create(conn, name, scope, requests_per_second, as_of=now(), owner=owner, expires_at=expires_at)
        made = api_keys.find(conn, text, as_of=now())
    if as_json:
        print_json({"key": text} | (asdict(made) if made else {}))
    else:
        print(text)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]) -> None:
    """Revoke a key. Running services refuse it after two seconds at most."""
    with database() as engine, engine.begin() as conn:
        api_keys.revoke(conn, key_id, as_of=now())
    console.print(plain(f"The key {key_id} is revoked."))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show all keys, without their secrets."""
    with database() as engine, engine.begin() as conn:
        found = api_keys.all_keys(conn)
    if as_json:
        print_json([asdict(key) for key in found])
        return
    table = table_of("id", "name", "scopes", "requests a second", "created", "revoked", "owner", "expires", whole="id")
    for key in found:
        scopes, rate = ", ".join(sorted(key.scopes)), str(key.requests_per_second or "no limit")
        created, revoked, expires = map(_minute, (key.created_at, key.revoked_at, key.expires_at))
        add_row(table, key.key_id, key.name, scopes, rate, created, revoked, key.owner, expires)
    print_table(table)


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
