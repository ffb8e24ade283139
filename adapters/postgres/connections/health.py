"""Tracks from the operations whether the database is reachable. Logs a loss and the recovery once each."""

from math import inf
from time import monotonic

import structlog

from adapters.postgres import failures
from domain.errors import StorageUnavailable

log = structlog.get_logger()


class DatabaseHealth:
    def __init__(self) -> None:
        self._last_success = -inf
        self._is_lost = False

    def has_succeeded_within(self, seconds: float) -> bool:
        """Whether an operation succeeded in the last `seconds`, and the database has failed none after it."""
        return monotonic() - self._last_success < seconds

    def record_success(self) -> None:
        self._last_success = monotonic()
        if self._is_lost:
            self._is_lost = False
            log.info("database regained")

    def record_failure(self, error: Exception) -> None:
        if isinstance(failures.domain_error(error), StorageUnavailable):
            self._last_success = -inf
        if failures.is_connection_loss(error) and not self._is_lost:
            self._is_lost = True
            log.warning("database lost", **failures.log_fields(error))
