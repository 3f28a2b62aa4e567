"""Runs the revisions on the connection that the caller gave."""

from alembic import context

from manager.storage.migration import VERSION_TABLE
from manager.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
