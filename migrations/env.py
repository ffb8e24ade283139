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


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Others may have tables of their own in the database: no revision of ours is to drop them."""
    return kind != "table" or name in TaskRow.metadata.tables


with changing(engine()) as connection:
    context.configure(
        connection=connection,
        target_metadata=TaskRow.metadata,
        include_name=is_ours,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", primary_key.__name__],
    )
    with context.begin_transaction():  # which is `changing`'s own, but for --sql it writes BEGIN and COMMIT
        context.run_migrations()
