"""How connections to PostgreSQL are made."""

import os
import ssl
from typing import Any, Final, Literal, TypeVar, cast

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.util.concurrency import await_, in_greenlet

from adapters.postgres.connections.guard import guard
from adapters.postgres.connections.prepared import PREPARE_THRESHOLD, is_safe_to_prepare, may_prepare

PreparedStatements = Literal["auto", "on", "off"]
T = TypeVar("T")

# A silent network is noticed within 45 s on an idle connection, within 10 s on one that waits for an acknowledgement.
_DEFAULTS: Final = {
    "application_name": "taskward",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class _Connection(psycopg.Connection[Any]):
    """Blocks its thread, as always, but on an event loop, under SQLAlchemy's `greenlet_spawn`, lets the loop go on."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        if in_greenlet():
            return await_(waiting.wait_async(gen, self.pgconn.socket, interval, timeout))
        return super().wait(gen, interval, timeout)


class UnsuitableDatabase(psycopg.OperationalError):
    """Tasks could be stored there, but not read again as they were. Its text says what to change."""


def create_postgres_engine(
    url: str,
    *,
    connect_timeout: int = 5,
    prepared_statements: PreparedStatements = "auto",
    initialize: bool = True,
) -> Engine:
    """An engine whose connections are guarded, in AUTOCOMMIT, and belong to whoever opens them; it keeps no pool.

    `url` is a libpq URI, `connect_timeout` is in seconds, for logging in and again for the probe after it. Nothing is
    opened yet. `initialize=False` spares what SQLAlchemy asks the server at first, which reflection alone needs.
    """
    parameters = {"connect_timeout": connect_timeout} | libpq_parameters(url)
    if parameters.get("sslrootcert") == "system":
        _find_the_systems_authorities()

    def open_connection() -> "psycopg.Connection[Any]":
        connection = connect(parameters)
        if prepared_statements == "on" or (
            prepared_statements == "auto" and may_prepare(engine) and is_safe_to_prepare(connection, connect_timeout)
        ):
            connection.prepare_threshold = PREPARE_THRESHOLD
        guard(connection)
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


def _find_the_systems_authorities() -> None:
    """The OpenSSL that comes with the driver looks for them where no system has them; Python's own knows better."""
    paths = ssl.get_default_verify_paths()
    for variable, place in ((paths.openssl_cafile_env, paths.cafile), (paths.openssl_capath_env, paths.capath)):
        if place:
            os.environ.setdefault(variable, place)


def _ask_nothing(connection: Connection) -> None:
    """In place of SQLAlchemy's questions about the server."""


def libpq_parameters(url: str) -> dict[str, Any]:
    """What the URL says, as libpq alone understands it, over our defaults."""
    return _DEFAULTS | conninfo_to_dict(url) | {"client_encoding": "utf8"}


def connect(parameters: dict[str, Any]) -> "psycopg.Connection[Any]":
    """A connection in AUTOCOMMIT, without prepared statements. Raises psycopg's errors and `UnsuitableDatabase`."""
    connection = _Connection.connect(**parameters, autocommit=True, prepare_threshold=None)
    encoding = connection.info.parameter_status("server_encoding")
    date_style = connection.info.parameter_status("DateStyle")
    if encoding not in {None, "UTF8"} or (date_style and not date_style.startswith("ISO")):
        connection.close()
        raise UnsuitableDatabase(f"its encoding is {encoding} and its DateStyle {date_style}, not UTF8 and ISO")
    return connection


def driver_connection(connection: Connection) -> "psycopg.Connection[Any]":
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
