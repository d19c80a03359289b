"""Alembic's entry: runs the revisions on the connection that `gateway.journal.database.migrate` hands in, in its transaction."""

from alembic import context

from gateway.journal.schema.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
