"""What Alembic runs: one transaction, under a lock, so that processes that migrate at once wait for each other."""

from alembic import context
from sqlalchemy import Connection, Engine, text

from adapters.postgres.engine import create_postgres_engine, driver_connection
from adapters.postgres.guard import lift_guard
from adapters.postgres.table import TaskRow
from entrypoints.settings import Settings

# Any constant serves, as long as all releases use the same. Of the transaction, not the session: a transaction
# pooler hands the session on.
LOCK = text("select pg_advisory_xact_lock(7249836501)")
# Bounds the wait for the lock above and for those of the DDL, which hold up everybody behind them.
LOCK_TIMEOUT = text("set local lock_timeout = '30s'")


def migrate(connection: Connection) -> None:
    connection.execute(LOCK_TIMEOUT)
    connection.execute(LOCK)
    context.configure(
        connection=connection,
        target_metadata=TaskRow.metadata,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    )
    context.run_migrations()


def engine() -> Engine:
    """The engine that the caller hands in, or for the `alembic` command one from the environment."""
    given = context.config.attributes.get("engine")
    return given if isinstance(given, Engine) else create_postgres_engine(Settings.load().migration_database()[1])


with engine().connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
    lift_guard(driver_connection(connection))
    migrate(connection)
