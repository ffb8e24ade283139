"""Whether the database answers and its schema is current: asked before serving, and again by every readiness probe."""

import re
import time
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from adapters.postgres import failures
from adapters.postgres.executor import DatabaseExecutor
from adapters.postgres.schema import require_current
from domain.errors import StorageUnavailable

RETRY_SECONDS: Final = 0.2

# libpq hands over no SQLSTATE of a refused connection, only text. What is not recognised here is merely waited for.
_HOPELESS: Final = re.compile(
    "password authentication failed|no password supplied|does not exist|no pg_hba.conf entry|certificate"
    "|server does not support SSL|could not translate host name"
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


def wait_until_ready(engine: Engine, *, patience: float, schema: bool = True) -> None:
    """Returns once the database answers, and its schema (if `schema`) is current.

    A server that is only waking up is waited for, `patience` seconds at most. Raises `StorageUnavailable` then, and at
    once for what waiting cannot mend, with libpq's reason; `StorageOutdated` at once.
    """
    until = time.monotonic() + patience
    while True:
        try:
            with engine.connect() as connection:
                if schema:
                    require_current(connection)
            return
        except OperationalError as error:
            reason = _reason(error)
            if time.monotonic() >= until or _HOPELESS.search(reason):
                raise StorageUnavailable(f"the database cannot be reached: {reason}") from None
        except SQLAlchemyError as error:
            raise failures.meaning(error) from None
        time.sleep(RETRY_SECONDS)


def _reason(error: OperationalError) -> str:
    """libpq's own words on one line: they name host, port, user and database, never the password."""
    return " ".join(str(error.orig).split())
