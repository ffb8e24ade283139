"""Waits at the start for a database that is waking up. Fails at once if waiting cannot help."""

import re
from threading import Thread
from time import sleep
from typing import Any, Final

import psycopg
import structlog

from adapters.postgres import failures
from adapters.postgres.connections.connection import UnsuitableDatabase, libpq_parameters, require_suitable
from adapters.postgres.schema.readiness import COLUMNS, FACTS, raise_if_never_migrated, require_ready
from domain.errors import StorageError, StorageUnavailable

log = structlog.get_logger()

RETRY_SECONDS: Final = 0.2

# For a refused connection libpq gives a text but no SQLSTATE. After any other text it tries again.
_FINAL_REASONS: Final = re.compile(
    "password authentication failed|no password supplied|does not exist|not permitted to log in|permission denied"
    "|no pg_hba.conf entry|certificate|channel binding|server does not support SSL|not supported for ai_socktype"
    "|^connection is bad: (?!connection to server)|^could not match|^bad value|invalid integer"  # of the URL itself
)
_QUOTED_NAMES: Final = re.compile("\"[^\"]*\"|'[^']*'")


class _Attempts(Thread):
    """Tries until it succeeds or waiting cannot help. A thread, since no timeout of the driver limits all of it."""

    def __init__(self, parameters: dict[str, Any], *, schema: bool) -> None:
        super().__init__(daemon=True)
        self._parameters = parameters
        self._schema = schema
        self._has_logged = False
        self.failure: StorageError | None = StorageUnavailable("it cannot be reached: there is no answer")

    def run(self) -> None:
        while not self._is_settled():
            sleep(RETRY_SECONDS)  # a server does not announce that it is ready

    def _is_settled(self) -> bool:
        """Try once. Returns whether to stop: it succeeded, or waiting cannot help."""
        try:
            self._ask()
        except psycopg.Error as error:
            self.failure, is_final = _reason(error)
            if not (is_final or self._has_logged):
                self._has_logged = True
                log.info("waiting for the database", **failures.log_fields(error))
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
                raise_if_never_migrated(error)
                raise
            require_ready(facts or ())


def wait_until_ready(url: str, *, timeout: int, patience: float, schema: bool = True) -> None:
    """Return once the server answers and, unless `schema` is false, tasks can be served.

    Waits up to `patience` seconds for a server that is waking up, and not at all if waiting cannot help. One login may
    take `timeout` seconds. Raises a `StorageError` that says what is wrong, and quotes no password.
    """
    attempts = _Attempts(libpq_parameters(url, timeout), schema=schema)
    attempts.start()
    attempts.join(patience)
    if attempts.failure:
        raise attempts.failure


def _reason(error: psycopg.Error) -> tuple[StorageError, bool]:
    """Return what is wrong, and whether waiting cannot help."""
    if isinstance(error, UnsuitableDatabase):
        return StorageUnavailable(f"it is not fit for tasks: {error}"), True
    if isinstance(error, psycopg.OperationalError | psycopg.ProgrammingError) and not error.sqlstate:
        text = " ".join(str(error).split())  # names host, port, user and database, never the password
        # Names are left out of the match: a host may be called `certificates`.
        is_final = _FINAL_REASONS.search(_QUOTED_NAMES.sub("", text)) is not None
        return StorageUnavailable(f"it cannot be reached: {text}"), is_final
    failure = failures.domain_error(error)
    is_final = isinstance(error, psycopg.ProgrammingError) or not isinstance(failure, StorageUnavailable)
    return type(failure)(f"it cannot be read: {failures.safe_message(error)}"), is_final
