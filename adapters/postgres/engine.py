"""How connections to PostgreSQL are made, and whether one still stands."""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final, Literal, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus
from sqlalchemy import Connection, Engine, NullPool, create_engine

PreparedStatements = Literal["auto", "on", "off"]

# A silent network is noticed within 45 s on an idle connection, within 10 s on one that waits for an acknowledgement.
_DEFAULTS: Final = {
    "application_name": "taskward",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_PREPARE_THRESHOLD: Final = 5


class UnsuitableDatabase(psycopg.OperationalError):
    """Tasks could be stored there, but not read again as they were. Its text says what to change."""


def create_postgres_engine(
    url: str,
    *,
    connect_timeout: int = 5,
    prepared_statements: PreparedStatements = "auto",
    initialize: bool = True,
) -> Engine:
    """An engine whose connections are in AUTOCOMMIT and belong to whoever opens them; it keeps no pool.

    `url` is a libpq URI, `connect_timeout` is in seconds, for logging in and again for the probe after it. Nothing is
    opened yet. `initialize=False` spares what SQLAlchemy asks the server at first, which reflection alone needs.
    """
    parameters = {"connect_timeout": connect_timeout} | libpq_parameters(url)

    def open_connection() -> "psycopg.Connection[Any]":
        connection = connect(parameters)
        if prepared_statements == "on" or (prepared_statements == "auto" and _is_direct(connection, connect_timeout)):
            connection.prepare_threshold = _PREPARE_THRESHOLD
        return connection

    engine = create_engine(
        "postgresql+psycopg://",
        creator=open_connection,
        poolclass=NullPool,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,
        hide_parameters=True,
    )
    if not initialize:
        engine.dialect.initialize = _ask_nothing  # type: ignore[method-assign]  # it would wait without a bound
    return engine


def _ask_nothing(connection: Connection) -> None:
    """In place of SQLAlchemy's questions about the server."""


def libpq_parameters(url: str) -> dict[str, Any]:
    """What the URL says, as libpq alone understands it, over our defaults."""
    return _DEFAULTS | conninfo_to_dict(url) | {"client_encoding": "utf8"}


def connect(parameters: dict[str, Any]) -> "psycopg.Connection[Any]":
    """A connection in AUTOCOMMIT, without prepared statements. Raises psycopg's errors and `UnsuitableDatabase`."""
    connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
    encoding = connection.info.parameter_status("server_encoding")
    date_style = connection.info.parameter_status("DateStyle") or "ISO"
    if encoding not in {None, "UTF8"} or not date_style.startswith("ISO"):
        connection.close()
        raise UnsuitableDatabase(f"its encoding is {encoding} and its DateStyle {date_style}, not UTF8 and ISO")
    return connection


def _is_direct(connection: "psycopg.Connection[Any]", timeout: float) -> bool:
    """Whether no pooler stands between: one that hands a server connection on can cross prepared statements."""
    try:
        with _cut_after(timeout, connection):
            row = connection.execute("select pg_backend_pid()").fetchone()
    except psycopg.Error:
        connection.close()
        raise
    return row is not None and row[0] == connection.info.backend_pid


@contextlib.contextmanager
def _cut_after(seconds: float, connection: "psycopg.Connection[Any]") -> Iterator[None]:
    with duplicate_socket(connection) as duplicate:
        timer = threading.Timer(seconds, cut, [duplicate])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def duplicate_socket(connection: "psycopg.Connection[Any]") -> socket.socket:
    """The connection's socket under a descriptor of its own, which stays ours when the driver closes its."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def cut(duplicate: socket.socket) -> None:
    """Ends the connection from outside: a thread that is blocked on it comes free."""
    with contextlib.suppress(OSError):  # it has ended by itself
        duplicate.shutdown(socket.SHUT_RDWR)


def driver_connection(connection: Connection) -> "psycopg.Connection[Any]":
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def is_usable(connection: Connection) -> bool:
    """Whether the server has not hung up, found out from the socket alone, without a round trip."""
    pgconn = driver_connection(connection).pgconn
    try:
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        while poll.poll(0):
            pgconn.consume_input()
    except psycopg.Error:
        return False
    return pgconn.status == ConnStatus.OK
