"""The port: how the core asks for tasks. Every method takes the owner first, so none can be called without one."""

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

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


class TaskRepository(Protocol):
    """Keeps tasks, each for its owner alone.

    A task of another owner is for every method what a task that does not exist is. Every method may raise
    `StorageUnavailable` or `StorageOverloaded`, and `OwnershipViolation` rather than return a row of somebody else.
    """

    @abstractmethod
    async def add(self, owner: UserId, draft: TaskDraft) -> Task:
        """Keep a new task; its id is a fresh UUID version 4, its two times are equal."""

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
    async def update(self, owner: UserId, task_id: UUID, changes: TaskChanges) -> Task:
        """The task with the changes made, in one step, and a greater `updated_at`. Raises `TaskNotFound`.

        Changes that mention nothing change nothing, `updated_at` included.
        """

    @abstractmethod
    async def toggle(self, owner: UserId, task_id: UUID) -> Task:
        """The task with `completed` flipped, in one step, and a greater `updated_at`. Raises `TaskNotFound`."""

    @abstractmethod
    async def delete(self, owner: UserId, task_id: UUID) -> None:
        """Forget the task. Raises `TaskNotFound`."""
