"""Tasks in PostgreSQL: each method is one statement in one round trip."""

import contextlib
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.sql import Executable

from adapters.postgres import statements
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.gateway import OwnedStatements
from domain.errors import (
    IdempotencyKeyReused,
    StorageUnavailable,
    TaskChanged,
    TaskNotFound,
)
from domain.idempotency import IdempotencyKey
from domain.listing import FIRST_PAGE, ListQuery, Order, TaskPage
from domain.repository import TaskRepository
from domain.task import Task, TaskChanges, TaskDraft, UserId, Versions

ADD_ONCE_ATTEMPTS: Final = 3
"""A second is needed when the task is deleted between the two statements of the first."""


class PostgresTaskRepository(TaskRepository):
    def __init__(self, database: DatabaseExecutor) -> None:
        self._statements = OwnedStatements(database)

    async def add(self, owner: UserId, draft: TaskDraft, *, key: IdempotencyKey | None = None) -> tuple[Task, bool]:
        if key is None:
            return await self._one("add", statements.ADD, owner, uuid4(), _values(draft)), True
        task_id = key.task_id(owner)
        for _ in range(ADD_ONCE_ATTEMPTS):
            made = await self._statements.run(
                "add_once", statements.ADD_ONCE, owner, task_id, _values(draft), missing="exists"
            )
            if made:
                return made[0], True
            with contextlib.suppress(TaskNotFound):  # deleted in between
                there = await self.get(owner, task_id)
                if not draft.may_have_made(there):
                    raise IdempotencyKeyReused
                return there, False
        raise StorageUnavailable("the task under this key comes and goes")

    async def get(self, owner: UserId, task_id: UUID) -> Task:
        return await self._one("get", statements.GET, owner, task_id, {})

    async def list(self, owner: UserId, query: ListQuery = FIRST_PAGE) -> TaskPage:
        values: dict[str, object] = {"limit": query.limit + 1}  # one more tells whether there is a next page
        if query.after is not None:
            values |= {"after_created_at": query.after.created_at, "after_id": query.after.id}
        if query.completed is not None:
            values["completed"] = query.completed
        newest = query.order is Order.NEWEST
        statement = statements.LIST[query.after is not None, query.completed is not None, newest]
        return TaskPage.of(tuple(await self._statements.run("list", statement, owner, None, values)), query.limit)

    async def update(
        self, owner: UserId, task_id: UUID, changes: TaskChanges, *, expected: Versions | None = None
    ) -> Task:
        values = changes.mentioned()
        return await self._change("update", statements.UPDATE[tuple(values)], owner, task_id, values, expected=expected)

    async def toggle(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> Task:
        return await self._change("toggle", statements.TOGGLE, owner, task_id, {}, expected=expected)

    async def delete(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> None:
        await self._change("delete", statements.DELETE, owner, task_id, {}, expected=expected)

    async def _change(
        self,
        operation: str,
        statement: Mapping[bool, Executable],
        owner: UserId,
        task_id: UUID,
        values: Mapping[str, object],
        *,
        expected: Versions | None,
    ) -> Task:
        if expected is None:
            return await self._one(operation, statement[False], owner, task_id, values)
        conditions = {**values, "expected": list(expected)}
        changed = await self._statements.run(
            operation, statement[True], owner, task_id, conditions, missing="unexpected"
        )
        if changed:
            return changed[0]
        await self.get(owner, task_id)  # is it gone, or changed?
        raise TaskChanged

    async def _one(
        self, operation: str, statement: Executable, owner: UserId, task_id: UUID, values: Mapping[str, object]
    ) -> Task:
        tasks = await self._statements.run(operation, statement, owner, task_id, values)
        if not tasks:
            raise TaskNotFound
        return tasks[0]


def _values(draft: TaskDraft) -> dict[str, object]:
    return dict(draft.values())
