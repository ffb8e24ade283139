"""The port: how the core asks for tasks. Every method takes the owner first, so none can be called without one."""

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from domain.idempotency import IdempotencyKey
from domain.task import Task, TaskChanges, TaskDraft, UserId

PAGE_LIMIT_MAX: Final = 200
PAGE_LIMIT_DEFAULT: Final = 50


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a listing, named by the task that stands just before it."""

    created_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a listing. `next` is the position to go on from, `None` on the last page."""

    items: tuple[Task, ...]
    next: Position | None


Versions = frozenset[datetime]
"""Values of a task's `updated_at`, which no two states of it share."""


class TaskRepository(Protocol):
    """Keeps tasks, each for its owner alone.

    A task of another owner is for every method what a task that does not exist is. Every method may raise
    `StorageUnavailable` or `StorageOverloaded`, and `OwnershipViolation` rather than return a row of somebody else.

    Where `expected` is given, a task is changed only if its `updated_at` is among these, in one step with the change;
    else `TaskChanged` is raised. A task that is not there is `TaskNotFound`, whatever is expected of it.
    """

    @abstractmethod
    async def add(self, owner: UserId, draft: TaskDraft) -> Task:
        """Keep a new task; its id is a fresh UUID version 4, its two times are equal."""

    @abstractmethod
    async def add_once(self, owner: UserId, key: IdempotencyKey, draft: TaskDraft) -> tuple[Task, bool]:
        """The one task that this owner has under this key, as it is now, and whether this call has made it.

        Raises `IdempotencyKeyReused` if it cannot have come from the draft. A deleted task is made anew.
        """

    @abstractmethod
    async def get(self, owner: UserId, task_id: UUID) -> Task:
        """The owner's task. Raises `TaskNotFound`."""

    @abstractmethod
    async def list(
        self,
        owner: UserId,
        *,
        limit: int = PAGE_LIMIT_DEFAULT,
        after: Position | None = None,
        completed: bool | None = None,
    ) -> TaskPage:
        """Up to `limit` (1 to `PAGE_LIMIT_MAX`) of the owner's tasks that follow `after`, newest first.

        The order is by `created_at`, then `id`, both descending. `completed` keeps only the tasks in that state.
        """

    @abstractmethod
    async def update(
        self, owner: UserId, task_id: UUID, changes: TaskChanges, *, expected: Versions | None = None
    ) -> Task:
        """The task with the changes made, in one step, and a greater `updated_at`.

        Changes that mention nothing change nothing, `updated_at` included. Raises `TaskNotFound`, `TaskChanged`.
        """

    @abstractmethod
    async def toggle(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> Task:
        """The task with `completed` flipped, in one step, and a greater `updated_at`.

        Raises `TaskNotFound`, `TaskChanged`.
        """

    @abstractmethod
    async def delete(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> None:
        """Forget the task. Raises `TaskNotFound`, `TaskChanged`."""
