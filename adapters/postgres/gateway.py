"""Runs a statement for an owner: one log line, every row's owner compared, rows into tasks."""

from collections.abc import Mapping
from time import perf_counter
from typing import NoReturn
from uuid import UUID

import psycopg
import structlog

from adapters.postgres import failures
from adapters.postgres.connections.connection import Rows
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.observer import Observer
from domain.errors import OwnershipViolation, StorageError
from domain.task import Task, UserId


class TaskGateway:
    def __init__(self, database: DatabaseExecutor, observer: Observer | None = None) -> None:
        self._database = database
        self._observer = observer
        self.until = database.until
        self._log = structlog.get_logger().bind()  # bound once, a line takes two thirds of the time

    async def run(
        self,
        operation: str,
        statement: Statement,
        owner: UserId,
        task_id: UUID | None,
        values: Mapping[str, object],
        *,
        until: float | None = None,
        missing: str = "not_found",
    ) -> Rows:
        """The owner's rows. Logs one line whatever happens; `missing` is the outcome of a statement without a row.

        Raises `StorageError`s, and `OwnershipViolation` rather than return another user's row.
        """
        parameters = {"owner": owner.value, "task_id": task_id, **values}
        started = perf_counter()
        record, facts = self._log.warning, {"outcome": "failed", "rows": 0}
        try:
            rows = await self._database.run(statement, parameters, about=task_id, user=owner, until=until)
            for row in rows:
                if row[0] != owner.value:
                    self._distrust()
            record, facts = self._log.info, {"outcome": "ok" if rows or task_id is None else missing, "rows": len(rows)}
        except psycopg.Error as error:
            failure = failures.meaning(error)
            facts = {"outcome": type(failure).__name__, "rows": 0, **failures.describe(error)}
            raise failure from None
        except (StorageError, OwnershipViolation) as error:
            facts = {"outcome": type(error).__name__, "rows": 0}
            raise
        finally:
            seconds = perf_counter() - started
            record(
                "database",
                operation=operation,
                user_id=owner.value,
                task_id=task_id and str(task_id),
                duration_ms=round(seconds * 1000, 3),
                **facts,
            )
            if self._observer:
                self._observer(operation, seconds, facts)
        return rows

    def _distrust(self) -> NoReturn:
        """A result that was crossed anywhere below stops here, and so does every connection."""
        self._database.distrust()
        raise OwnershipViolation("a statement returned a row of another user")


def task_of(owner: UserId, row: tuple[object, ...]) -> Task:
    """The task in a row of `statements.RETURNED`."""
    _, task_id, *fields = row
    return Task(task_id, owner, *fields)  # type: ignore[arg-type]  # the columns are in the order of the task's fields
