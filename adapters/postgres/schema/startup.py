"""What a start waits for: a server that is only waking up, and nothing that waiting cannot mend."""

import re
from threading import Thread
from time import sleep
from typing import Any, Final

import psycopg
import structlog

from adapters.postgres import failures
from adapters.postgres.connections.connection import UnsuitableDatabase, libpq_parameters, require_suitable
from adapters.postgres.schema.readiness import COLUMNS, FACTS, require_ready, require_schema
from domain.errors import StorageError, StorageUnavailable

log = structlog.get_logger()

RETRY_SECONDS: Final = 0.2

# libpq hands over no SQLSTATE of a refused connection, only text. What is not recognised here is waited for.
_HOPELESS: Final = re.compile(
    "password authentication failed|no password supplied|does not exist|not permitted to log in|permission denied"
    "|no pg_hba.conf entry|certificate|channel binding|server does not support SSL|not supported for ai_socktype"
    "|^connection is bad: (?!connection to server)|^could not match|^bad value|invalid integer"  # of the URL itself
)
_NAMES: Final = re.compile("\"[^\"]*\"|'[^']*'")


class _Attempts(Thread):
    """Tries until it succeeds or cannot succeed. A thread of its own, because no driver's timeout bounds all of it."""

    def __init__(self, parameters: dict[str, Any], *, schema: bool) -> None:
        super().__init__(daemon=True)
        self._parameters = parameters
        self._schema = schema
        self._waits = False
        self.failure: StorageError | None = StorageUnavailable("it cannot be reached: there is no answer")

    def run(self) -> None:
        while not self._succeeds():
            sleep(RETRY_SECONDS)  # the server announces nothing

    def _succeeds(self) -> bool:
        """Whether there is no need to go on."""
        try:
            self._ask()
        except psycopg.Error as error:
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

    def _ask(self) -> None:
        with psycopg.connect(**self._parameters, autocommit=True, prepare_threshold=None) as connection:
            require_suitable(connection.info)
            if not self._schema:
                connection.execute("select 1")
                return
            try:
                facts = connection.execute(FACTS.text.encode(), COLUMNS).fetchone()
            except psycopg.errors.UndefinedTable as error:
                require_schema(error)
                raise
            require_ready(facts or ())


def wait_until_ready(url: str, *, timeout: int, patience: float, schema: bool = True) -> None:
    """Returns once the server answers and, unless `schema` is false, tasks can be served.

    A server that is only waking up is waited for, `patience` seconds; what waiting cannot mend is raised at once.
    `timeout` seconds bound one login. Raises a `StorageError` that says what is wrong, and quotes no password.
    """
    attempts = _Attempts(libpq_parameters(url, timeout), schema=schema)
    attempts.start()
    attempts.join(patience)
    if attempts.failure:
        raise attempts.failure


def _reason(error: psycopg.Error) -> tuple[StorageError, bool]:
    """What is wrong, and whether it will stay so."""
    if isinstance(error, UnsuitableDatabase):
        return StorageUnavailable(f"it is not fit for tasks: {error}"), True
    if isinstance(error, psycopg.OperationalError | psycopg.ProgrammingError) and not error.sqlstate:
        words = " ".join(str(error).split())  # names host, port, user and database, never the password
        # An operator's own names must not decide: a host may be called `certificates`.
        return StorageUnavailable(f"it cannot be reached: {words}"), bool(_HOPELESS.search(_NAMES.sub("", words)))
    failure = failures.meaning(error)
    is_final = isinstance(error, psycopg.ProgrammingError) or not isinstance(failure, StorageUnavailable)
    return type(failure)(f"it refuses to be read: {failures.words(error)}"), is_final
