"""The fake repository: it keeps the same promises in a dictionary."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.errors import IdempotencyKeyReused, TaskNotFound
from domain.idempotency import IdempotencyKey
from domain.listing import FIRST_PAGE, ListQuery, Order, TaskCounts, TaskPage
from domain.repository import TaskRepository
from domain.task import Task, TaskChanges, TaskDraft, UserId, Versions


def system_clock() -> datetime:
    return datetime.now(UTC)


def _sort_key(task: Task) -> tuple[datetime, UUID]:
    return task.created_at, task.id


class InMemoryTaskRepository(TaskRepository):
    """Stores tasks without copying them: they are immutable."""

    def __init__(self, clock: Callable[[], datetime] = system_clock, new_id: Callable[[], UUID] = uuid4) -> None:
        self.clock = clock
        self.new_id = new_id
        self.stored: dict[tuple[UserId, UUID], Task] = {}

    async def add(self, owner: UserId, draft: TaskDraft, *, key: IdempotencyKey | None = None) -> tuple[Task, bool]:
        task_id = key.task_id(owner) if key else self.new_id()
        if existing := self.stored.get((owner, task_id)):
            if not draft.may_have_created(existing):
                raise IdempotencyKeyReused
            return existing, False
        now = self.clock()
        task = Task(task_id, owner, draft.title, draft.description, draft.completed, created_at=now, updated_at=now)
        self.stored[owner, task_id] = task
        return task, True

    async def get(self, owner: UserId, task_id: UUID) -> Task:
        try:
            return self.stored[owner, task_id]
        except KeyError:
            raise TaskNotFound from None

    async def list(self, owner: UserId, query: ListQuery = FIRST_PAGE) -> TaskPage:
        found = [task for (user, _), task in self.stored.items() if user == owner]
        if query.completed is not None:
            found = [task for task in found if task.completed is query.completed]
        found.sort(key=_sort_key, reverse=query.order is Order.NEWEST)
        if query.after is not None:
            after = (query.after.created_at, query.after.id)
            follows = operator.lt if query.order is Order.NEWEST else operator.gt
            found = [task for task in found if follows(_sort_key(task), after)]
        return TaskPage.of(tuple(found), query.limit)

    async def update(
        self, owner: UserId, task_id: UUID, changes: TaskChanges, *, expected: Versions | None = None
    ) -> Task:
        task = await self._get_expected(owner, task_id, expected)
        mentioned = changes.mentioned()
        return self._change(task, **mentioned) if mentioned else task

    async def toggle(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> Task:
        task = await self._get_expected(owner, task_id, expected)
        return self._change(task, completed=not task.completed)

    async def delete(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> None:
        task = await self._get_expected(owner, task_id, expected)
        del self.stored[owner, task.id]

    async def count(self, owner: UserId) -> TaskCounts:
        return TaskCounts(len(self._in_state(owner, completed=False)), len(self._in_state(owner, completed=True)))

    async def update_all(self, owner: UserId, *, completed: bool, to: bool) -> int:
        found = self._in_state(owner, completed=completed)
        for task in found:
            self._change(task, completed=to)
        return len(found)

    async def delete_all(self, owner: UserId, *, completed: bool) -> int:
        found = self._in_state(owner, completed=completed)
        for task in found:
            del self.stored[owner, task.id]
        return len(found)

    def _in_state(self, owner: UserId, *, completed: bool) -> Sequence[Task]:
        return [task for (user, _), task in self.stored.items() if user == owner and task.completed is completed]

    async def _get_expected(self, owner: UserId, task_id: UUID, expected: Versions | None) -> Task:
        task = await self.get(owner, task_id)
        task.require_version(expected)
        return task

    def _change(self, task: Task, **fields: object) -> Task:
        later = max(self.clock(), task.updated_at + timedelta(microseconds=1))
        changed = replace(task, **fields, updated_at=later)  # type: ignore[arg-type]  # names and types are the domain's
        self.stored[task.owner, task.id] = changed
        return changed
