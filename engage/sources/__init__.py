"""A source of events in a warehouse: tables behind SQL queries, or files in a folder or an object store.

A pull reads one window's events, in parts: slices of a query by time, or files. Each chunk of rows is one transaction
with its event ids, so a pull that is killed and begun again adds each event once. This package takes a DB-API
connection and an fsspec filesystem; an adapter outside of it finds them by the name of a connection.
"""

from engage.sources.pull import pull
from engage.sources.source import Source

__all__ = ["Source", "pull"]
