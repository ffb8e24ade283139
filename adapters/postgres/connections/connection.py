"""One connection to PostgreSQL: opens it, runs statements, and stops one that runs too long."""

import asyncio
import contextlib
import os
import select
import socket
import ssl
from collections.abc import Collection, Mapping
from typing import Any, Final

import psycopg
from psycopg.adapt import Transformer
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, TransactionStatus

from adapters.postgres.connections.guard import NoServerCursor, Statement, cursor_for
from adapters.postgres.connections.prepared import PREPARE_THRESHOLD, is_safe_to_prepare

Rows = list[tuple[Any, ...]]

CANCEL_ATTEMPTS: Final = 2
CANCEL_SECONDS: Final = 1.0
"""How often the server is asked to cancel a statement, and how long each time, before its connection is cut."""

# A silent network is noticed within 45 s on an idle connection, within 10 s on one that waits for an acknowledgement.
_DEFAULTS: Final = {
    "application_name": "taskward",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class UnsuitableDatabase(psycopg.OperationalError):
    """Tasks stored there would not be read back as they were. The text says what to change."""


class Connection:
    """Belongs to one event loop and one caller at a time. Sends only the statements that it was opened for."""

    def __init__(self, driver: "psycopg.AsyncConnection[Any]") -> None:
        self._driver = driver
        self._cursor = driver.cursor(binary=True)
        # libpq closes its own descriptor when it notices a loss; this one stays until `close`.
        self._socket = socket.socket(fileno=os.dup(driver.fileno()))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        # Without a connection it loads times in UTC, whatever the session's time zone.
        self._transformer = Transformer()

    async def execute(self, statement: Statement, parameters: Mapping[str, object]) -> Rows:
        """Return the rows. Raises psycopg's errors, and `OwnershipViolation` for a text that is not allowed."""
        await self._cursor.execute(statement.text, parameters)
        result = self._cursor.pgresult
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples if result else 0, tuple)

    def is_usable(self) -> bool:
        """Whether the server has not closed the connection. Only the socket is asked: no round trip.

        The server's last message and the end of the stream arrive one after the other, so this reads until both are in.
        """
        pgconn = self._driver.pgconn
        try:
            while self._poll.poll(0):
                pgconn.consume_input()
        except psycopg.Error:
            return False
        return pgconn.status == ConnStatus.OK

    def is_idle(self) -> bool:
        """Whether the connection is open, and nothing is left of its last statement."""
        pgconn = self._driver.pgconn
        return pgconn.status == ConnStatus.OK and pgconn.transaction_status == TransactionStatus.IDLE

    async def stop(self, has_ended: asyncio.Event) -> None:
        """End the running statement: cancel it on the server, or cut the connection if that does not work."""
        for _ in range(CANCEL_ATTEMPTS):  # a cancel that overtakes its statement is lost
            with contextlib.suppress(psycopg.Error, OSError):  # OSError: no file descriptor is left
                await self._driver.cancel_safe(timeout=CANCEL_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await has_ended.wait()
                return
        self.cut()

    def cut(self) -> None:
        """Cut the connection. Whoever waits for its answer gets an error at once."""
        with contextlib.suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        self._socket.close()
        await self._driver.close()


class Connector:
    """Opens connections that send only the allowed statements. `url` is a libpq URI, `timeout` is in seconds."""

    def __init__(self, url: str, allowed: Collection[Statement], *, timeout: int = 5, prepare: str = "auto") -> None:
        self._parameters = libpq_parameters(url, timeout)
        self._cursor = cursor_for(allowed)
        self._timeout = timeout
        self._prepare = prepare

    async def open(self, *, may_prepare: bool = True) -> Connection:
        """Open a connection. Raises psycopg's errors, `UnsuitableDatabase` among them."""
        driver = await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True, prepare_threshold=None)
        try:
            require_suitable(driver.info)
            if may_prepare and (
                self._prepare == "on" or (self._prepare == "auto" and await is_safe_to_prepare(driver, self._timeout))
            ):
                driver.prepare_threshold = PREPARE_THRESHOLD
            driver.cursor_factory = self._cursor
            driver.server_cursor_factory = NoServerCursor
            return Connection(driver)
        except BaseException:
            await driver.close()
            raise


def libpq_parameters(url: str, timeout: int = 5) -> dict[str, Any]:
    """Return libpq's parameters: those of the URL, over our defaults. `timeout` is the seconds for a login."""
    parameters = _DEFAULTS | {"connect_timeout": timeout} | conninfo_to_dict(url) | {"client_encoding": "utf8"}
    if parameters.get("sslrootcert") == "system":
        _use_system_certificates()
    return parameters


def require_suitable(info: psycopg.ConnectionInfo) -> None:
    """Raise `UnsuitableDatabase` if texts or times would not come back as they were stored."""
    encoding, date_style = info.parameter_status("server_encoding"), info.parameter_status("DateStyle")
    if encoding not in {None, "UTF8"} or (date_style and not date_style.startswith("ISO")):
        raise UnsuitableDatabase(f"its encoding is {encoding} and its DateStyle {date_style}, not UTF8 and ISO")


def _use_system_certificates() -> None:
    """Use Python's paths to them: psycopg's bundled OpenSSL has none that work."""
    paths = ssl.get_default_verify_paths()
    for variable, place in ((paths.openssl_cafile_env, paths.cafile), (paths.openssl_capath_env, paths.capath)):
        if place:
            os.environ.setdefault(variable, place)
