"""Tasks in PostgreSQL: one statement a method, a second only for a repeated key or a failed `expected`."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from adapters.postgres import statements
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.gateway import TaskGateway, task_of
from adapters.postgres.observer import Observer
from domain.errors import IdempotencyKeyReused, TaskChanged, TaskNotFound
from domain.idempotency import IdempotencyKey
from domain.listing import FIRST_PAGE, ListQuery, TaskCounts, TaskPage
from domain.repository import TaskRepository
from domain.task import Task, TaskChanges, TaskDraft, UserId, Versions


class PostgresTaskRepository(TaskRepository):
    def __init__(self, database: DatabaseExecutor, observer: Observer | None = None) -> None:
        self._gateway = TaskGateway(database, observer)

    async def add(self, owner: UserId, draft: TaskDraft, *, key: IdempotencyKey | None = None) -> tuple[Task, bool]:
        if key is None:
            return await self._run_one("add", statements.ADD, owner, uuid4(), draft.values()), True
        task_id, until = key.task_id(owner), self._gateway.new_deadline()
        while True:  # repeats only if the task is deleted between the two statements; the deadline ends it
            created = await self._gateway.run(
                "add_once", statements.ADD_ONCE, owner, task_id, draft.values(), until=until, missing="exists"
            )
            if created:
                return task_of(owner, created[0]), True
            existing = await self._gateway.run("get", statements.GET, owner, task_id, {}, until=until)
            if existing:
                task = task_of(owner, existing[0])
                if not draft.may_have_created(task):
                    raise IdempotencyKeyReused
                return task, False

    async def get(self, owner: UserId, task_id: UUID) -> Task:
        return await self._run_one("get", statements.GET, owner, task_id, {})

    async def list(self, owner: UserId, query: ListQuery = FIRST_PAGE) -> TaskPage:
        values: dict[str, object] = {"limit": query.limit + 1}  # the extra task shows whether there is a next page
        if query.after is not None:
            values |= {"after_created_at": query.after.created_at, "after_id": query.after.id}
        if query.completed is not None:
            values["completed"] = query.completed
        statement = statements.LIST[query.after is not None, query.completed is not None, query.order]
        rows = await self._gateway.run("list", statement, owner, None, values)
        return TaskPage.of(tuple([task_of(owner, row) for row in rows]), query.limit)

    async def count(self, owner: UserId) -> TaskCounts:
        rows = await self._gateway.run("count", statements.COUNT, owner, None, {})
        return TaskCounts(*rows[0][1:]) if rows else TaskCounts(0, 0)

    async def update(
        self, owner: UserId, task_id: UUID, changes: TaskChanges, *, expected: Versions | None = None
    ) -> Task:
        values = changes.mentioned()
        statement = statements.UPDATE[tuple(values), expected is not None]
        return await self._change_one("update", statement, owner, task_id, values, expected=expected)

    async def toggle(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> Task:
        return await self._change_one(
            "toggle", statements.TOGGLE[expected is not None], owner, task_id, {}, expected=expected
        )

    async def delete(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> None:
        await self._change_one("delete", statements.DELETE[expected is not None], owner, task_id, {}, expected=expected)

    async def update_all(self, owner: UserId, *, completed: bool, to: bool) -> int:
        values = {"completed": completed, "to": to}
        return await self._run_bulk("update_all", statements.UPDATE_ALL, owner, values)

    async def delete_all(self, owner: UserId, *, completed: bool) -> int:
        return await self._run_bulk("delete_all", statements.DELETE_ALL, owner, {"completed": completed})

    async def _run_bulk(self, operation: str, statement: Statement, owner: UserId, values: Mapping[str, object]) -> int:
        rows = await self._gateway.run(operation, statement, owner, None, values)
        return int(rows[0][1]) if rows else 0

    async def _change_one(
        self,
        operation: str,
        statement: Statement,
        owner: UserId,
        task_id: UUID,
        values: Mapping[str, object],
        *,
        expected: Versions | None,
    ) -> Task:
        if expected is None:
            return await self._run_one(operation, statement, owner, task_id, values)
        values, until = {**values, "expected": list(expected)}, self._gateway.new_deadline()
        rows = await self._gateway.run(operation, statement, owner, task_id, values, until=until, missing="unexpected")
        if rows:
            return task_of(owner, rows[0])
        await self._run_one("get", statements.GET, owner, task_id, {}, until=until)  # is it gone, or changed?
        raise TaskChanged

    async def _run_one(
        self,
        operation: str,
        statement: Statement,
        owner: UserId,
        task_id: UUID,
        values: Mapping[str, object],
        *,
        until: float | None = None,
    ) -> Task:
        rows = await self._gateway.run(operation, statement, owner, task_id, values, until=until)
        if not rows:
            raise TaskNotFound
        return task_of(owner, rows[0])
