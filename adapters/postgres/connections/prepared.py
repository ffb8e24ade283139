"""Whether statements may be prepared on the server: only where a probe has shown that no pooler can cross them."""

from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from adapters.postgres.connections.sockets import cut_after

_OWN_NAME: Final = "select name from pg_prepared_statements where statement like 'select name from pg_prepared_st%'"
_DRIVERS_PREFIX: Final = "_pg3_"
PREPARE_THRESHOLD: Final = 5
"""How often a statement is run before it is prepared."""
_FORBIDDEN: Final = "taskward_prepares_nothing"


def is_safe_to_prepare(connection: "psycopg.Connection[Any]", timeout: float) -> bool:
    """Whether prepared statements are safe: no pooler stands between, or one that keeps track of them.

    One that does not can run a statement that another client has prepared in place of ours.
    """
    try:
        with cut_after(timeout, connection):
            row = connection.execute("select pg_backend_pid()").fetchone()
            return row == (connection.info.backend_pid,) or _are_tracked(connection)
    except psycopg.Error:
        connection.close()
        raise


def _are_tracked(connection: "psycopg.Connection[Any]") -> bool:
    """A pooler that keeps track of prepared statements gives them names of its own."""
    connection.prepare_threshold = PREPARE_THRESHOLD  # without one the driver prepares nothing, even if it is told to
    try:
        with connection.transaction():  # on one and the same server connection
            names = [name for (name,) in connection.execute(_OWN_NAME, prepare=True)]
            untracked = [name for name in names if name.startswith(_DRIVERS_PREFIX)]
            for name in untracked:  # it would stay behind for whoever is given the server connection next
                connection.execute(sql.SQL("deallocate {}").format(sql.Identifier(name)), prepare=False)
    except (psycopg.errors.DuplicatePreparedStatement, psycopg.errors.InvalidSqlStatementName):
        return False  # somebody else's stayed behind
    finally:
        connection.prepare_threshold = None
    return bool(names) and not untracked


def forbid_prepared_statements(engine: Engine) -> None:
    """From now on, on all its connections: for when a pooler has been seen to cross them."""
    engine.update_execution_options(**{_FORBIDDEN: True})


def may_prepare(engine: Engine) -> bool:
    return not engine.get_execution_options().get(_FORBIDDEN, False)
