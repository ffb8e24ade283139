"""Tasks in PostgreSQL: each method is one statement in one round trip, and each row is checked for its owner."""

from collections.abc import Sequence
from datetime import UTC
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection, Row
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import Executable

from adapters.postgres import failures, statements
from adapters.postgres.executor import DatabaseExecutor
from domain.errors import OwnershipViolation, StorageError, TaskNotFound
from domain.repository import PAGE_LIMIT_DEFAULT, Position, TaskPage, TaskRepository
from domain.task import Task, TaskChanges, TaskDraft, UserId

log = structlog.get_logger()


class PostgresTaskRepository(TaskRepository):
    def __init__(self, database: DatabaseExecutor) -> None:
        self._database = database

    async def add(self, owner: UserId, draft: TaskDraft) -> Task:
        task_id = uuid4()
        values = {"title": draft.title, "description": draft.description, "completed": draft.completed}
        return await self._one("add", statements.ADD, owner, task_id, **values)

    async def get(self, owner: UserId, task_id: UUID) -> Task:
        return await self._one("get", statements.GET, owner, task_id)

    async def list(
        self,
        owner: UserId,
        *,
        limit: int = PAGE_LIMIT_DEFAULT,
        after: Position | None = None,
        completed: bool | None = None,
    ) -> TaskPage:
        values: dict[str, object] = {"limit": limit + 1}  # one more tells whether there is a next page
        if after is not None:
            values |= {"after_created_at": after.created_at, "after_id": after.id}
        if completed is not None:
            values["completed"] = completed
        statement = statements.LIST[after is not None, completed is not None]
        tasks = await self._run("list", statement, owner, None, **values)
        if len(tasks) <= limit:
            return TaskPage(tuple(tasks), next=None)
        last = tasks[limit - 1]
        return TaskPage(tuple(tasks[:limit]), next=Position(last.created_at, last.id))

    async def update(self, owner: UserId, task_id: UUID, changes: TaskChanges) -> Task:
        values = changes.mentioned()
        statement = statements.UPDATE[tuple(values)] if values else statements.GET
        return await self._one("update", statement, owner, task_id, **values)

    async def toggle(self, owner: UserId, task_id: UUID) -> Task:
        return await self._one("toggle", statements.TOGGLE, owner, task_id)

    async def delete(self, owner: UserId, task_id: UUID) -> None:
        await self._one("delete", statements.DELETE, owner, task_id)

    async def _one(self, operation: str, statement: Executable, owner: UserId, task_id: UUID, **values: object) -> Task:
        tasks = await self._run(operation, statement, owner, task_id, **values)
        if not tasks:
            raise TaskNotFound
        return tasks[0]

    async def _run(
        self, operation: str, statement: Executable, owner: UserId, task_id: UUID | None, **values: object
    ) -> Sequence[Task]:
        """The tasks that the statement returns, and one log line whatever comes of it."""
        parameters = {"owner": owner.value, **values}
        if task_id is not None:
            parameters["task_id"] = task_id

        def execute(connection: Connection) -> Sequence[Row[*tuple[Any, ...]]]:
            return connection.execute(statement, parameters).all()

        started = perf_counter()
        facts: dict[str, object] = {"outcome": "failed", "rows": 0}
        try:
            rows = await self._database.run(execute)
            tasks = [_task_of(owner, row) for row in rows]
            facts = {"outcome": "ok" if rows or task_id is None else "not_found", "rows": len(rows)}
        except SQLAlchemyError as error:
            failure = failures.meaning(error)
            facts = {"outcome": type(failure).__name__, "rows": 0, **failures.describe(error)}
            raise failure from None
        except (StorageError, OwnershipViolation) as error:
            facts = {"outcome": type(error).__name__, "rows": 0}
            raise
        finally:
            log.info(
                "database",
                operation=operation,
                user_id=owner.value,
                task_id=task_id and str(task_id),
                duration_ms=round((perf_counter() - started) * 1000, 3),
                **facts,
            )
        return tasks


def _task_of(owner: UserId, row: Row[*tuple[Any, ...]]) -> Task:
    """The task in the row, if it is the owner's: a result that was crossed anywhere below stops here."""
    if row[0] != owner.value:
        raise OwnershipViolation("a statement returned a row of another user")
    _, task_id, title, description, completed, created_at, updated_at = row
    return Task(task_id, owner, title, description, completed, created_at.astimezone(UTC), updated_at.astimezone(UTC))
