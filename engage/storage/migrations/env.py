"""Alembic's entry point: runs the migrations on the connection that ``engage.storage.migrations`` hands over."""

from alembic import context

from engage.storage.migrations import VERSION_TABLE
from engage.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
