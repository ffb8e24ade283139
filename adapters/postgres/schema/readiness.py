"""Whether the database answers and its schema is current: asked before serving, and again by every readiness probe."""

import re
from threading import Thread
from time import sleep
from typing import Final

import psycopg
import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres import failures
from adapters.postgres.connections.engine import UnsuitableDatabase
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.schema.revisions import require_current
from domain.errors import StorageError, StorageUnavailable

log = structlog.get_logger()

RETRY_SECONDS: Final = 0.2
FRESH_SECONDS: Final = 30.0
"""How long a success stands for the next."""

# libpq hands over no SQLSTATE of a refused connection, only text. What is not recognised here is merely waited for.
_HOPELESS: Final = re.compile(
    "password authentication failed|no password supplied|does not exist|not permitted to log in|permission denied"
    "|no pg_hba.conf entry|certificate|channel binding|server does not support SSL"
    "|Name or service not known|nodename nor servname|not supported for ai_socktype"
    "|^connection is bad: (?!connection to server)|^could not match|^bad value|invalid integer"  # of the URL itself
)


class PostgresReadiness:
    def __init__(self, database: DatabaseExecutor) -> None:
        self._database = database

    async def check(self) -> None:
        """Raises `StorageUnavailable`, `StorageOverloaded` or `StorageOutdated` where tasks cannot be served.

        Does not ask where it was answered lately, so that probes do not keep a serverless database awake.
        """
        if self._database.has_succeeded_within(FRESH_SECONDS):
            return
        try:
            await self._database.run(require_current)
        except SQLAlchemyError as error:
            log.warning("not ready", **failures.describe(error))
            raise failures.meaning(error) from None
        except StorageError as error:
            log.warning("not ready", error=type(error).__name__, reason=str(error))
            raise


class _Attempts(Thread):
    """Tries until it succeeds or cannot succeed. A thread of its own, because no driver's timeout bounds all of it."""

    def __init__(self, engine: Engine, *, schema: bool) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self._schema = schema
        self._waits = False
        self.failure: StorageError | None = StorageUnavailable("it cannot be reached: there is no answer")

    def run(self) -> None:
        while not self._succeeds():
            sleep(RETRY_SECONDS)  # the server announces nothing

    def _succeeds(self) -> bool:
        """Whether there is no need to go on."""
        try:
            with self._engine.connect() as connection:
                require_current(connection) if self._schema else connection.execute(text("select 1"))
        except SQLAlchemyError as error:
            self.failure, is_final = _reason(error)
            if not (is_final or self._waits):
                self._waits = True
                log.info("waiting for the database", **failures.describe(error))
            return is_final
        except StorageError as error:
            self.failure = error
            return True
        self.failure = None
        return True


def wait_until_ready(engine: Engine, *, patience: float, schema: bool = True) -> None:
    """Returns once the server answers and, unless `schema` is false, its schema is current.

    A server that is only waking up is waited for, `patience` seconds; what waiting cannot mend is raised at once.
    Raises a `StorageError` that says what is wrong, and quotes no password.
    """
    attempts = _Attempts(engine, schema=schema)
    attempts.start()
    attempts.join(patience)
    if attempts.failure:
        raise attempts.failure


def _reason(error: SQLAlchemyError) -> tuple[StorageError, bool]:
    """What is wrong, and whether it will stay so."""
    cause = failures.cause_of(error)
    if isinstance(cause, UnsuitableDatabase):
        return StorageUnavailable(f"it is not fit for tasks: {cause}"), True
    if isinstance(cause, psycopg.OperationalError | psycopg.ProgrammingError) and not cause.sqlstate:
        words = " ".join(str(cause).split())  # names host, port, user and database, never the password
        return StorageUnavailable(f"it cannot be reached: {words}"), bool(_HOPELESS.search(words))
    failure = failures.meaning(error)
    return type(failure)(f"it refuses to be read: {failures.words(error)}"), not isinstance(failure, StorageUnavailable)
