"""The driver's errors: what each means to the core, what may be repeated, and what may be logged.

SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from typing import Final

import psycopg

from domain.errors import StorageError, StorageOverloaded, StorageUnavailable

_OVERLOADED: Final = ("53",)  # insufficient resources: connections, memory, disk
_READ_ONLY: Final = ("25006",)  # a server that a failover has left behind
_CROSSED: Final = ("26000", "42P05")  # a prepared statement is unknown, or exists already: a pooler crosses them
_STALE_PLAN: Final = ("0A000",)  # "cached plan must not change result type": the schema has changed since
_LOST: Final = ("08", "57P01", "57P02", "57P03")  # connection exceptions; shut down, crashed, starting up
_UNDONE: Final = (
    *("40001", "40P01"),  # serialization failure, deadlock
    "57P05",  # an idle session has ended before the statement came
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
    "55",  # a lock, or an object, that cannot be had now
    "57",  # cancelled
    "58",  # the server's system fails
    "XX",  # internal errors: a server that ends in mid-statement, or a node of a cluster that is away
)
_ABOUT_THE_SCHEMA: Final = ("08", "0A", "42", "53", "55", "57", "58", "XX")
"""Classes whose words cannot quote a row."""


def meaning(error: Exception) -> StorageError:
    """The core's word for a failed statement. Its text is safe to log: the driver's own can quote the row."""
    if isinstance(error, StorageError):
        return error
    text = _joined(describe(error))
    sqlstate = _sqlstate(error)
    if sqlstate.startswith(_OVERLOADED):
        return StorageOverloaded(text)
    if sqlstate.startswith(_UNAVAILABLE) or is_connection_loss(error):
        return StorageUnavailable(text)
    return StorageError(text)


def describe(error: Exception) -> dict[str, str]:
    """The error's class, SQLSTATE and constraint, as far as it has them."""
    cause = _cause_of(error)
    facts = {"error": type(cause or error).__name__}
    if sqlstate := _sqlstate(error):
        facts["sqlstate"] = sqlstate
    if cause and cause.diag.constraint_name:
        facts["constraint"] = cause.diag.constraint_name
    return facts


def words(error: Exception) -> str:
    """For an operator at the command line: the server's own words where they cannot quote a row."""
    cause = _cause_of(error)
    if cause and _sqlstate(error).startswith(_ABOUT_THE_SCHEMA):
        return " ".join(str(cause.diag.message_primary).split())  # what Citus says of a worker has two lines
    return _joined(describe(error))


def may_be_repeated(error: Exception, *, is_read: bool) -> bool:
    """Whether the statement certainly did not take effect, so that it may be sent again."""
    return _sqlstate(error).startswith(_UNDONE) or (is_read and is_connection_loss(error))


def is_crossed(error: Exception) -> bool:
    """Whether a pooler gave us a server connection on which other statements are prepared than ours."""
    return _sqlstate(error).startswith(_CROSSED)


def is_stale_plan(error: Exception) -> bool:
    """Whether the schema has changed since the statement was prepared."""
    return _sqlstate(error).startswith(_STALE_PLAN)


def is_read_only(error: Exception) -> bool:
    """Whether the server takes no writes."""
    return _sqlstate(error).startswith(_READ_ONLY)


def is_connection_loss(error: Exception) -> bool:
    """Whether there is no connection, or none any more."""
    sqlstate = _sqlstate(error)
    is_of_the_connection = isinstance(_cause_of(error), psycopg.OperationalError | psycopg.InterfaceError)
    return sqlstate.startswith(_LOST) or (is_of_the_connection and not sqlstate)


def _cause_of(error: Exception) -> psycopg.Error | None:
    """The driver's own error. SQLAlchemy wraps those that migrations meet."""
    cause = getattr(error, "orig", error)
    return cause if isinstance(cause, psycopg.Error) else None


def _sqlstate(error: Exception) -> str:
    """The server's code for the error, empty where it has given none."""
    cause = _cause_of(error)
    return (cause and cause.sqlstate) or ""


def _joined(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())
