"""The schema's revisions: bring a database to the newest, and tell whether it is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Final

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from adapters.postgres import failures
from adapters.postgres.connections.engine import driver_connection
from adapters.postgres.connections.guard import lift_guard
from domain.errors import StorageOutdated

_REVISIONS: Final = text("select version_num from alembic_version")
_MIGRATIONS: Final = files("migrations")  # beside this package, installed or in a checkout
# Any constant serves, as long as all releases use the same. Of the transaction, not the session: a transaction
# pooler hands the session on.
_LOCK: Final = text("select pg_advisory_xact_lock(7249836501)")
# The DDL on a distributed table waits for locks on the workers, too: Citus passes on what is set after this.
# A plain PostgreSQL lets anybody set a name that no extension has taken.
_REACH_WORKERS: Final = text("set local citus.propagate_set_commands = 'local'")
# Bounds the wait for the lock above and for those of the DDL, which hold up everybody behind them.
_LOCK_TIMEOUT: Final = text("set local lock_timeout = '30s'")


@contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """One transaction in which nobody else changes the schema: those who do so at once wait for each other.

    It is about the table itself, and so about all owners: nothing holds it to one.
    """
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        lift_guard(driver_connection(connection))
        connection.execute(_REACH_WORKERS)
        connection.execute(_LOCK_TIMEOUT)
        connection.execute(_LOCK)
        yield connection


def upgrade(engine: Engine) -> None:
    """Brings the schema to the newest revision, in one transaction. Does nothing where it is there already.

    Raises a `StorageError` that says what stood in the way, and quotes no row.
    """
    from alembic import command  # noqa: PLC0415 - takes a third of a second that serving need not spend
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"engine": engine})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        raise type(failures.meaning(error))(f"the migration was undone: {failures.words(error)}") from None
    except CommandError as error:
        raise StorageOutdated(f"nothing was migrated: {error}") from None


def require_current(connection: Connection) -> None:
    """Raises `StorageOutdated` unless the schema is at the newest revision that this release knows, or later.

    Later is right: while a new release is rolled out, its schema is there first, and the old one still serves.
    """
    try:
        found = {revision for (revision,) in connection.execute(_REVISIONS)}
    except ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.UndefinedTable):
            raise
        found = set()
    if not found or min(found) < newest_revision():
        stands = ", ".join(sorted(found)) or "empty"
        raise StorageOutdated(f"its schema is {stands}, this release needs {newest_revision()}: run `taskward migrate`")


@cache
def newest_revision() -> str:
    """Revisions are numbered, and their files named by them."""
    return max(file.name for file in _MIGRATIONS.joinpath("versions").iterdir() if file.name.endswith(".py"))[:4]
