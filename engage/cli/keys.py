"""The commands of the HTTP service: ``python -m engage serve``, ``keys …``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from engage.cli.common import console, database, hash_key
from engage.clock import now
from engage.service import api_keys
from engage.statuses import ApiScope

keys = typer.Typer(help="The keys of the HTTP service.", no_args_is_help=True)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is all of this machine's.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="ENGAGE_SERVICE_PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8000,
) -> None:
    """Serve the HTTP API until Ctrl-C: events and customers in, receipts and replies from the SMS provider in."""
    # a second to import, which the other commands need not wait for
    from engage.service import access_log, app, server  # noqa: PLC0415
    from engage.service.context import Context, pooled  # noqa: PLC0415

    access_log.configure_logs()
    with database(serving=True) as engine:
        context = Context.from_environment(pooled(engine), now, hash_key())
        try:
            server.serve(app.create_app(context), host, port)
        except KeyboardInterrupt:  # uvicorn has already stopped in order, and passes the signal on
            pass
        finally:
            context.engine.dispose()


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who uses it.")],
    scope: Annotated[list[str], typer.Option(help=f"What it may do: {', '.join(ApiScope)}; may be repeated.")],
    requests_per_second: Annotated[int, typer.Option(help="How often it may call; 0 is no limit.")] = (
        api_keys.REQUESTS_PER_SECOND
    ),
) -> None:
    """Make a key, and show it this once."""
    with database() as engine, engine.begin() as conn:
        text = api_keys.create(conn, name, scope, requests_per_second, as_of=now())
    print(text)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]) -> None:
    """Make a key of no use, within two seconds."""
    with database() as engine, engine.begin() as conn:
        api_keys.revoke(conn, key_id, as_of=now())
    console.print(f"The key {key_id} is revoked.")


@keys.command("list")
def list_() -> None:
    """Show all keys, without their secrets."""
    with database() as engine, engine.begin() as conn:
        found = api_keys.everyone(conn)
    table = Table("id", "name", "scopes", "requests a second", "created", "revoked")
    for key in found:
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        scopes, rate = ", ".join(sorted(key.scopes)), str(key.requests_per_second or "no limit")
        table.add_row(key.key_id, key.name, scopes, rate, f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    console.print(table)
