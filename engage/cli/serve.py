"""``engage serve``: run the HTTP service."""

from __future__ import annotations

from typing import Annotated

import typer

from engage.cli.common import database, hash_key, mention
from engage.storage.database_clock import DatabaseClock


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 means all of this machine's.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="ENGAGE_SERVICE_PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8000,
) -> None:
    """Serve the HTTP API until Ctrl-C: events and customers from the app, receipts and texts from the SMS provider."""
    # these take a second to import, which the other commands are spared
    from engage.service import app, log_format, server  # noqa: PLC0415
    from engage.service.connection_pool import pooled  # noqa: PLC0415
    from engage.service.context import Context  # noqa: PLC0415

    log_format.configure()
    with database(new=True, serving=True) as engine:
        serving = pooled(engine)
        context = Context.from_environment(serving, DatabaseClock(serving), hash_key())
        mention(f"The HTTP service listens on http://{host}:{port} until Ctrl-C.")
        try:
            server.serve(app.create_app(context), host, port, context.trusted_proxies)
        except KeyboardInterrupt:  # uvicorn has already shut down, and passes the signal on
            pass
        finally:
            context.engine.dispose()
            mention("The HTTP service has stopped.")
