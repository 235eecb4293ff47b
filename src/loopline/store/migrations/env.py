"""Alembic's entry: runs the migrations on the connection it is given, in its transaction."""

from __future__ import annotations

from alembic import context

from loopline.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="ll_schema_version",
    transactional_ddl=False,  # The caller holds the transaction, DDL included.
)
context.run_migrations()
