"""The one way to the tasks: runs a statement for an owner, and lets no row pass that is not the owner's."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from time import perf_counter
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Row, Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import Executable

from adapters.postgres import failures
from adapters.postgres.connections.executor import DatabaseExecutor
from domain.errors import OwnershipViolation, StorageError
from domain.task import Task, UserId

log = structlog.get_logger()


class OwnedStatements:
    def __init__(self, database: DatabaseExecutor) -> None:
        self._database = database

    async def run(
        self,
        operation: str,
        statement: Executable,
        owner: UserId,
        task_id: UUID | None,
        values: Mapping[str, object],
        *,
        missing: str = "not_found",
    ) -> Sequence[Task]:
        """The tasks that the statement returns, and one log line whatever comes of it; `missing`, where it is none."""
        parameters = {"owner": owner.value, **values}
        if task_id is not None:
            parameters["task_id"] = task_id

        def execute(connection: Connection) -> Sequence[Row[*tuple[Any, ...]]]:
            return connection.execute(statement, parameters).all()

        may_repeat = failures.is_undone_or_lost if isinstance(statement, Select) else failures.is_undone
        started = perf_counter()
        tell = log.warning  # until it has succeeded
        facts: dict[str, object] = {"outcome": "failed", "rows": 0}
        try:
            rows = await self._database.run(execute, about=task_id, may_repeat=may_repeat)
            tasks = self._tasks_of(owner, rows)
            facts = {"outcome": "ok" if rows or task_id is None else missing, "rows": len(rows)}
            tell = log.info
        except SQLAlchemyError as error:
            failure = failures.meaning(error)
            facts = {"outcome": type(failure).__name__, "rows": 0, **failures.describe(error)}
            raise failure from None
        except (StorageError, OwnershipViolation) as error:
            facts = {"outcome": type(error).__name__, "rows": 0}
            raise
        finally:
            tell(
                "database",
                operation=operation,
                user_id=owner.value,
                task_id=task_id and str(task_id),
                duration_ms=round((perf_counter() - started) * 1000, 3),
                **facts,
            )
        return tasks

    def _tasks_of(self, owner: UserId, rows: Sequence[Row[*tuple[Any, ...]]]) -> Sequence[Task]:
        try:
            return [_task_of(owner, row) for row in rows]
        except OwnershipViolation:
            self._database.distrust()
            raise


def _task_of(owner: UserId, row: Row[*tuple[Any, ...]]) -> Task:
    """The task in the row, if it is the owner's: a result that was crossed anywhere below stops here."""
    if row[0] != owner.value:
        raise OwnershipViolation("a statement returned a row of another user")
    _, task_id, title, description, completed, created_at, updated_at = row
    return Task(task_id, owner, title, description, completed, created_at.astimezone(UTC), updated_at.astimezone(UTC))
