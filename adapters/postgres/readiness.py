"""Whether the database answers and its schema is current: asked before serving, and again by every readiness probe."""

import re
import time
from typing import Final

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres import failures
from adapters.postgres.engine import connect, libpq_parameters
from adapters.postgres.executor import DatabaseExecutor
from adapters.postgres.schema import require_current
from domain.errors import StorageUnavailable

RETRY_SECONDS: Final = 0.2
SHORTEST_CONNECT_SECONDS: Final = 2
"""What libpq allows."""

# libpq hands over no SQLSTATE of a refused connection, only text. What is not recognised here is merely waited for.
_HOPELESS: Final = re.compile(
    "password authentication failed|no password supplied|does not exist|no pg_hba.conf entry|certificate"
    "|server does not support SSL|Name or service not known|nodename nor servname"
)


class PostgresReadiness:
    def __init__(self, database: DatabaseExecutor) -> None:
        self._database = database

    async def check(self) -> None:
        """Raises `StorageUnavailable`, `StorageOverloaded` or `StorageOutdated` where tasks cannot be served."""
        try:
            await self._database.run(require_current)
        except SQLAlchemyError as error:
            raise failures.meaning(error) from None


def require_ready(engine: Engine) -> None:
    """The same, once and at once, on a connection of its own."""
    try:
        with engine.connect() as connection:
            require_current(connection)
    except SQLAlchemyError as error:
        raise failures.meaning(error) from None


def wait_for_server(url: str, *, patience: float) -> None:
    """Returns once the server accepts a connection; one that is only waking up is waited for, `patience` seconds.

    Raises `StorageUnavailable` with libpq's reason then, and at once for what waiting cannot mend.
    """
    parameters = libpq_parameters(url)
    until = time.monotonic() + patience
    while True:
        remaining = int(until - time.monotonic())
        try:
            connect(parameters | {"connect_timeout": max(SHORTEST_CONNECT_SECONDS, remaining)}).close()
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())  # names host, port, user and database, never the password
            if remaining <= SHORTEST_CONNECT_SECONDS or _HOPELESS.search(reason):
                raise StorageUnavailable(f"the database cannot be reached: {reason}") from None
        else:
            return
        time.sleep(RETRY_SECONDS)
