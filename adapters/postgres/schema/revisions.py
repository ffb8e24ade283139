"""Brings a database to the newest revision of the schema, with Alembic and SQLAlchemy."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from adapters.postgres import failures
from adapters.postgres.connections.connection import libpq_parameters, require_suitable
from adapters.postgres.schema.readiness import MIGRATIONS, newest_revision
from domain.errors import StorageOutdated

_REVISIONS: Final = text("select version_num from alembic_version")
# Any constant will do, as long as all releases use the same. The lock belongs to the transaction: a transaction pooler
# gives the session to other clients.
_LOCK: Final = text("select pg_advisory_xact_lock(7249836501)")
# DDL on a distributed table waits for locks on the workers, too: with this, Citus sends them the settings that follow.
# A plain PostgreSQL accepts the setting, since it accepts any name with a dot.
_REACH_WORKERS: Final = text("set local citus.propagate_set_commands = 'local'")
# Limits the wait for the lock above and for the locks of the DDL: everybody queues behind a DDL that waits.
_LOCK_TIMEOUT: Final = text("set local lock_timeout = '30s'")


def create_migration_engine(url: str) -> Engine:
    """Return an engine for schema changes, which no guard limits. `url` is a libpq URI. Opens nothing yet."""
    parameters = libpq_parameters(url)

    def connect() -> "psycopg.Connection[Any]":
        connection = psycopg.connect(**parameters, prepare_threshold=None)
        require_suitable(connection.info)
        return connection

    return create_engine(
        "postgresql+psycopg://", creator=connect, poolclass=NullPool, use_native_hstore=False, hide_parameters=True
    )


@contextmanager
def schema_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that changes the schema. Only one runs at a time; the others wait for it."""
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        connection.execute(_REACH_WORKERS)
        connection.execute(_LOCK_TIMEOUT)
        connection.execute(_LOCK)
        yield connection


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction. Does nothing if it is there already.

    Raises a `StorageError` that says what is in the way, and quotes no row.
    """
    from alembic import command  # noqa: PLC0415 - takes a third of a second that serving need not spend
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"engine": engine})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        raise type(failures.domain_error(error))(f"the migration was undone: {failures.safe_message(error)}") from None
    except CommandError as error:
        raise StorageOutdated(f"nothing was migrated: {error}") from None


def upgrade_if_needed(engine: Engine) -> None:
    """Upgrade unless the schema is at the newest revision. Asking is faster than loading Alembic."""
    try:
        with engine.connect() as connection:
            found = connection.execute(_REVISIONS).scalars().all()
    except ProgrammingError:  # there is no schema yet
        found = []
    if found != [newest_revision()]:
        upgrade(engine)
