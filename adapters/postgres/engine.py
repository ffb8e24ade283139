"""How connections to PostgreSQL are made, and whether one still stands."""

import select
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


def create_postgres_engine(
    url: str, *, connect_timeout: int = 5, prepared_statements: PreparedStatements = "auto"
) -> Engine:
    """An engine whose connections are in AUTOCOMMIT and belong to whoever opens them; it keeps no pool.

    `url` is a libpq URI, `connect_timeout` is in seconds. Nothing is opened yet.
    """

    parameters = {"connect_timeout": connect_timeout} | libpq_parameters(url)

    def open_connection() -> "psycopg.Connection[Any]":
        connection = connect(parameters)
        if prepared_statements == "on" or (prepared_statements == "auto" and _is_direct(connection)):
            connection.prepare_threshold = _PREPARE_THRESHOLD
        return connection

    return create_engine(
        "postgresql+psycopg://",
        creator=open_connection,
        poolclass=NullPool,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,
        hide_parameters=True,
    )


def libpq_parameters(url: str) -> dict[str, Any]:
    """What the URL says, as libpq alone understands it, over our defaults."""
    return _DEFAULTS | conninfo_to_dict(url)


def connect(parameters: dict[str, Any]) -> "psycopg.Connection[Any]":
    """A connection in AUTOCOMMIT, without prepared statements. Raises psycopg's `OperationalError`."""
    return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)


def _is_direct(connection: "psycopg.Connection[Any]") -> bool:
    """Whether no pooler stands between: one that hands a server connection on can cross prepared statements."""
    row = connection.execute("select pg_backend_pid()").fetchone()
    return row is not None and row[0] == connection.info.backend_pid


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
