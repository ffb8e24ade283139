"""What Alembic runs: one transaction, under a lock, so that processes that migrate at once wait for each other."""

from alembic import context
from sqlalchemy import Engine

from adapters.postgres.schema.revisions import changing, create_migration_engine
from adapters.postgres.table import TaskRow
from entrypoints.settings import Settings
from migrations import primary_key


def engine() -> Engine:
    """The engine that the caller hands in, or for the `alembic` command one from the environment."""
    given = context.config.attributes.get("engine")
    return given if isinstance(given, Engine) else create_migration_engine(Settings.load().migration_database()[1])


with changing(engine()) as connection:
    context.configure(
        connection=connection,
        target_metadata=TaskRow.metadata,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", primary_key.__name__],
    )
    context.run_migrations()
