"""Alembic's entry point: one transaction under a lock, so that concurrent migrations wait for each other."""

from alembic import context
from sqlalchemy import Engine

from adapters.postgres.schema.revisions import create_migration_engine, schema_transaction
from adapters.postgres.table import TaskRow
from entrypoints.settings import Settings
from migrations import primary_key


def engine() -> Engine:
    """Return the caller's engine. The `alembic` command has none: it gets one from the environment."""
    given = context.config.attributes.get("engine")
    return given if isinstance(given, Engine) else create_migration_engine(Settings.load().migration_database()[1])


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Ignore other people's tables in the database, so that no generated revision drops them."""
    return kind != "table" or name in TaskRow.metadata.tables


with schema_transaction(engine()) as connection:
    context.configure(
        connection=connection,
        target_metadata=TaskRow.metadata,
        include_name=is_ours,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", primary_key.__name__],
    )
    with context.begin_transaction():  # already begun above; with --sql it writes BEGIN and COMMIT
        context.run_migrations()
