"""The one place that knows the driver's errors: what each means to the core, and what of it may be logged.

SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from domain.errors import StorageError, StorageOverloaded, StorageUnavailable

_OVERLOADED: Final = ("53",)  # insufficient resources: connections, memory, disk
_READ_ONLY: Final = "25006"
_UNAVAILABLE: Final = (
    "08",  # connection exceptions
    _READ_ONLY,  # after a failover
    "26000",  # an unknown prepared statement: a pooler crosses them
    "28",  # refused credentials
    "3D000",  # the database is gone
    "40",  # serialization failure, deadlock: rolled back for certain
    "42P05",  # a prepared statement that exists already: a pooler crosses them
    "55P03",  # lock not available in time
    "57",  # cancelled, shut down, starting up
    "58",  # the server's system fails
)
_CROSSED: Final = ("26000", "42P05")  # no such prepared statement, one of that name exists
_UNDONE: Final = ("40001", "40P01")  # serialization failure, deadlock
_ABOUT_THE_SCHEMA: Final = (
    "08",  # connection exceptions, between the servers of a cluster, too
    "0A",  # feature not supported
    "42",  # syntax error or access rule violation
    "53",  # insufficient resources
    "55",  # object not in prerequisite state
    "57",  # operator intervention
    "XX",  # internal errors, and whatever an extension gives no code of its own
)


def meaning(error: SQLAlchemyError) -> StorageError:
    """The core's word for a failed statement. Its text is safe to log: the driver's own can quote the row."""
    text = _joined(describe(error))
    sqlstate = _sqlstate(error)
    if sqlstate.startswith(_OVERLOADED):
        return StorageOverloaded(text)
    if sqlstate.startswith(_UNAVAILABLE) or (not sqlstate and is_connection_loss(error)):
        return StorageUnavailable(text)
    return StorageError(text)


def describe(error: Exception) -> dict[str, str]:
    """The error's class, SQLSTATE and constraint, as far as it has them."""
    cause = cause_of(error)
    facts = {"error": type(cause or error).__name__}
    if sqlstate := _sqlstate(error):
        facts["sqlstate"] = sqlstate
    if cause and cause.diag.constraint_name:
        facts["constraint"] = cause.diag.constraint_name
    return facts


def words(error: SQLAlchemyError) -> str:
    """For an operator at the command line: the server's own words where they cannot quote a row."""
    cause = cause_of(error)
    if cause and _sqlstate(error).startswith(_ABOUT_THE_SCHEMA):
        return " ".join(str(cause.diag.message_primary).split())  # what Citus says of a worker has two lines
    return _joined(describe(error))


def cause_of(error: Exception) -> psycopg.Error | None:
    """What the driver has raised, if it was the driver."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return cause if isinstance(cause, psycopg.Error) else None


def _sqlstate(error: Exception) -> str:
    """The server's code for the error, empty where it has given none."""
    cause = cause_of(error)
    return (cause and cause.sqlstate) or ""


def _joined(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def is_crossed(error: Exception) -> bool:
    """Whether a pooler has given us a server connection on which other statements are prepared than ours."""
    return _sqlstate(error) in _CROSSED


def is_read_only(error: Exception) -> bool:
    """Whether the server takes no writes, as one does that a failover has left behind."""
    return _sqlstate(error) == _READ_ONLY


def is_undone(error: Exception) -> bool:
    """Whether the statement was rolled back for certain, so that even a write may be sent again."""
    return _sqlstate(error).startswith(_UNDONE)


def is_undone_or_lost(error: Exception) -> bool:
    """Whether a statement that changes nothing may be sent again."""
    return is_undone(error) or is_connection_loss(error)


def is_connection_loss(error: Exception) -> bool:
    """Whether there is no connection, or none any more."""
    is_invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    is_of_the_connection = isinstance(cause_of(error), psycopg.OperationalError | psycopg.InterfaceError)
    return is_invalidated or (is_of_the_connection and not _sqlstate(error))
