"""Runs the Alembic revisions on the connection and in the transaction of `gateway.journal.database.migrate`."""

from alembic import context

from gateway.journal.schema.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
