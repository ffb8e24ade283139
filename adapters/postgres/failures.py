"""Maps the driver's errors: to domain errors, to what may be repeated, and to what may be logged.

SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from typing import Final

import psycopg

from domain.errors import StorageError, StorageOverloaded, StorageUnavailable

_OVERLOADED: Final = ("53",)  # insufficient resources: connections, memory, disk
_READ_ONLY: Final = ("25006",)  # after a failover the old server takes no writes
_CROSSED: Final = ("26000", "42P05")  # a prepared statement is unknown or exists already: a pooler mixed up clients
_STALE_PLAN: Final = ("0A000",)  # "cached plan must not change result type": the schema has changed since
_LOST: Final = ("08", "57P01", "57P02", "57P03")  # connection exceptions; shut down, crashed, starting up
_UNDONE: Final = (
    *("40001", "40P01"),  # serialization failure, deadlock
    "57P05",  # the server ended the idle session before the statement arrived
    *_CROSSED,
    *_STALE_PLAN,
)
"""The statement certainly did not run, or was rolled back."""
_UNAVAILABLE: Final = (
    *_LOST,
    *_READ_ONLY,
    *_CROSSED,
    "28",  # refused credentials
    "3D000",  # the database is gone
    *("3F000", "42501", "42P01"),  # no such schema, no privilege, no such table: an operator has changed the database
    "40",  # rolled back
    "55",  # a lock or an object is not available now
    "57",  # cancelled
    "58",  # the server's operating system failed
    "XX",  # internal errors: the server died during the statement, or a node of the cluster is unreachable
)
_SAFE_MESSAGES: Final = ("08", "0A", "42", "53", "55", "57", "58", "XX")
"""SQLSTATE classes whose messages cannot quote a row."""


def domain_error(error: Exception) -> StorageError:
    """Return the domain's error for a failed statement. Its text is safe to log; the driver's can quote the row."""
    if isinstance(error, StorageError):
        return error
    text = _joined(log_fields(error))
    sqlstate = _sqlstate(error)
    if sqlstate.startswith(_OVERLOADED):
        return StorageOverloaded(text)
    if sqlstate.startswith(_UNAVAILABLE) or is_connection_loss(error):
        return StorageUnavailable(text)
    return StorageError(text)


def log_fields(error: Exception) -> dict[str, str]:
    """Return the error's class, and its SQLSTATE and constraint if it has them."""
    cause = _cause_of(error)
    facts = {"error": type(cause or error).__name__}
    if sqlstate := _sqlstate(error):
        facts["sqlstate"] = sqlstate
    if cause and cause.diag.constraint_name:
        facts["constraint"] = cause.diag.constraint_name
    return facts


def safe_message(error: Exception) -> str:
    """Return a message for the command line: the server's own if it cannot quote a row, else the log fields."""
    cause = _cause_of(error)
    if cause and _sqlstate(error).startswith(_SAFE_MESSAGES):
        return " ".join(str(cause.diag.message_primary).split())  # Citus reports a worker's error in two lines
    return _joined(log_fields(error))


def may_be_repeated(error: Exception, *, is_read: bool) -> bool:
    """Whether the statement certainly did not take effect, so that it may be sent again."""
    return _sqlstate(error).startswith(_UNDONE) or (is_read and is_connection_loss(error))


def is_crossed(error: Exception) -> bool:
    """Whether a pooler gave us a server connection with other prepared statements than ours."""
    return _sqlstate(error).startswith(_CROSSED)


def is_stale_plan(error: Exception) -> bool:
    """Whether the schema has changed since the statement was prepared."""
    return _sqlstate(error).startswith(_STALE_PLAN)


def is_read_only(error: Exception) -> bool:
    """Whether the server takes no writes."""
    return _sqlstate(error).startswith(_READ_ONLY)


def is_connection_loss(error: Exception) -> bool:
    """Whether no connection could be opened, or an open one was lost."""
    sqlstate = _sqlstate(error)
    is_connection_error = isinstance(_cause_of(error), psycopg.OperationalError | psycopg.InterfaceError)
    return sqlstate.startswith(_LOST) or (is_connection_error and not sqlstate)


def _cause_of(error: Exception) -> psycopg.Error | None:
    """Return the driver's error. In migrations SQLAlchemy wraps it."""
    cause = getattr(error, "orig", error)
    return cause if isinstance(cause, psycopg.Error) else None


def _sqlstate(error: Exception) -> str:
    """Return the server's code for the error, or an empty text if it gave none."""
    cause = _cause_of(error)
    return (cause and cause.sqlstate) or ""


def _joined(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())
