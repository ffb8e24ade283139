"""The fake that stands in for PostgreSQL: the same promises, kept in a dictionary."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.errors import IdempotencyKeyReused, TaskChanged, TaskNotFound
from domain.idempotency import IdempotencyKey
from domain.repository import PAGE_LIMIT_DEFAULT, Position, TaskPage, TaskRepository, Versions
from domain.task import Task, TaskChanges, TaskDraft, UserId


def system_clock() -> datetime:
    return datetime.now(UTC)


class InMemoryTaskRepository(TaskRepository):
    """Tasks are immutable values, so what goes in or out is as good as a copy."""

    def __init__(self, clock: Callable[[], datetime] = system_clock, new_id: Callable[[], UUID] = uuid4) -> None:
        self.clock = clock
        self.new_id = new_id
        self.stored: dict[tuple[UserId, UUID], Task] = {}

    async def add(self, owner: UserId, draft: TaskDraft) -> Task:
        return self._add(owner, self.new_id(), draft)

    async def add_once(self, owner: UserId, key: IdempotencyKey, draft: TaskDraft) -> tuple[Task, bool]:
        task_id = key.task_id(owner)
        there = self.stored.get((owner, task_id))
        if there is None:
            return self._add(owner, task_id, draft), True
        if not draft.may_have_made(there):
            raise IdempotencyKeyReused
        return there, False

    def _add(self, owner: UserId, task_id: UUID, draft: TaskDraft) -> Task:
        now = self.clock()
        task = Task(task_id, owner, draft.title, draft.description, draft.completed, created_at=now, updated_at=now)
        self.stored[owner, task_id] = task
        return task

    async def get(self, owner: UserId, task_id: UUID) -> Task:
        try:
            return self.stored[owner, task_id]
        except KeyError:
            raise TaskNotFound from None

    async def list(
        self,
        owner: UserId,
        *,
        limit: int = PAGE_LIMIT_DEFAULT,
        after: Position | None = None,
        completed: bool | None = None,
    ) -> TaskPage:
        found = [
            task
            for (whose, _), task in self.stored.items()
            if whose == owner
            and (completed is None or task.completed is completed)
            and (after is None or (task.created_at, task.id) < (after.created_at, after.id))
        ]
        found.sort(key=lambda task: (task.created_at, task.id), reverse=True)
        items = tuple(found[:limit])
        return TaskPage(items, Position(items[-1].created_at, items[-1].id) if len(found) > limit else None)

    async def update(
        self, owner: UserId, task_id: UUID, changes: TaskChanges, *, expected: Versions | None = None
    ) -> Task:
        task = await self._expect(owner, task_id, expected)
        mentioned = changes.mentioned()
        return self._change(task, **mentioned) if mentioned else task

    async def toggle(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> Task:
        task = await self._expect(owner, task_id, expected)
        return self._change(task, completed=not task.completed)

    async def delete(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> None:
        task = await self._expect(owner, task_id, expected)
        del self.stored[owner, task.id]

    async def _expect(self, owner: UserId, task_id: UUID, expected: Versions | None) -> Task:
        task = await self.get(owner, task_id)
        if expected is not None and task.updated_at not in expected:
            raise TaskChanged
        return task

    def _change(self, task: Task, **fields: object) -> Task:
        later = max(self.clock(), task.updated_at + timedelta(microseconds=1))
        changed = replace(task, **fields, updated_at=later)  # type: ignore[arg-type]  # names and types are the domain's
        self.stored[task.owner, task.id] = changed
        return changed
