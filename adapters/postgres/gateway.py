"""Runs a statement for an owner: logs one line, compares the owner of each row, turns rows into tasks."""

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
        self.new_deadline = database.new_deadline
        self._log = structlog.get_logger().bind()  # binding once saves a third of a line's time

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
        """Return the owner's rows. Logs one line in every case, with the outcome `missing` if `task_id` has no row.

        Raises a `StorageError`, or `OwnershipViolation` instead of returning another user's row.
        """
        parameters = {"owner": owner.value, "task_id": task_id, **values}
        resource = task_id or (None if statement.is_read else owner)  # a bulk write's is its owner
        started = perf_counter()
        log, facts = self._log.warning, {"outcome": "failed", "rows": 0}
        try:
            rows = await self._database.run(statement, parameters, resource=resource, user=owner, until=until)
            for row in rows:
                if row[0] != owner.value:
                    self._refuse_foreign_row()
            log, facts = self._log.info, {"outcome": "ok" if rows or task_id is None else missing, "rows": len(rows)}
        except psycopg.Error as error:
            failure = failures.domain_error(error)
            facts = {"outcome": type(failure).__name__, "rows": 0, **failures.log_fields(error)}
            raise failure from None
        except (StorageError, OwnershipViolation) as error:
            facts = {"outcome": type(error).__name__, "rows": 0}
            raise
        finally:
            seconds = perf_counter() - started
            log(
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

    def _refuse_foreign_row(self) -> NoReturn:
        """Refuse another user's row: some layer below has mixed up answers. Retires all open connections."""
        self._database.distrust()
        raise OwnershipViolation("a statement returned a row of another user")


def task_of(owner: UserId, row: tuple[object, ...]) -> Task:
    """Build the task from a row of `statements.COLUMN_NAMES`."""
    _, task_id, *fields = row
    return Task(task_id, owner, *fields)  # type: ignore[arg-type]  # the columns are in the order of the task's fields
