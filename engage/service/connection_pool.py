"""The service's pool of database connections: bounded, and quick to give up on a database that hangs."""

from __future__ import annotations

import sqlalchemy as sa

from engage.storage import connection

CONNECTIONS = 10
STATEMENT_SECONDS = 10.0
"""The longest that a statement may take. Every request gets its answer in time because of it."""

_LIBPQ = {
    "connect_timeout": "5",  # seconds
    "keepalives_idle": "10",  # seconds
    "keepalives_interval": "5",  # seconds
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",  # milliseconds
}
"""Options of libpq that end a connection when the network no longer reaches the server."""


def pooled(engine: sa.Engine) -> sa.Engine:
    """Another engine for the same database, with at most ``CONNECTIONS`` connections and short waits."""
    url = engine.url.update_query_dict({**_LIBPQ, **engine.url.query})
    return connection.connect(
        url, patience=STATEMENT_SECONDS, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=2.0, pool_recycle=3600
    )
