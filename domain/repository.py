"""The port: how tasks are stored. Every method takes the owner first, so none can be called without one."""

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from domain.idempotency import IdempotencyKey
from domain.listing import FIRST_PAGE, ListQuery, TaskCounts, TaskPage
from domain.task import Task, TaskChanges, TaskDraft, UserId, Versions


class TaskRepository(Protocol):
    """Keeps each task for its owner only.

    Another owner's task is indistinguishable from a missing one. Every method may raise `StorageUnavailable` or
    `StorageOverloaded`, and `OwnershipViolation` rather than return another user's row.

    With `expected`, a task is changed or deleted only if its version is one of these; the check and the change are one
    step. Otherwise `TaskChanged` is raised. A missing task raises `TaskNotFound`, with or without `expected`.
    """

    @abstractmethod
    async def add(self, owner: UserId, draft: TaskDraft, *, key: IdempotencyKey | None = None) -> tuple[Task, bool]:
        """Store a new task. Returns it, and whether this call created it.

        Its id is a random UUID version 4; its two times are equal. An owner has one task under each `key`: a repeat
        returns that task as it is now, or raises `IdempotencyKeyReused` if this draft cannot have created it. If the
        task was deleted meanwhile, a repeat creates it again.
        """

    @abstractmethod
    async def get(self, owner: UserId, task_id: UUID) -> Task:
        """Return the owner's task. Raises `TaskNotFound`."""

    @abstractmethod
    async def list(self, owner: UserId, query: ListQuery = FIRST_PAGE) -> TaskPage:
        """Return the page of the owner's tasks that the query asks for, in its order."""

    @abstractmethod
    async def update(
        self, owner: UserId, task_id: UUID, changes: TaskChanges, *, expected: Versions | None = None
    ) -> Task:
        """Change the task, in one step. Returns it with a greater `updated_at`.

        Empty changes change nothing, not even `updated_at`. Raises `TaskNotFound`, `TaskChanged`.
        """

    @abstractmethod
    async def toggle(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> Task:
        """Flip `completed`, in one step. Returns the task with a greater `updated_at`.

        Raises `TaskNotFound`, `TaskChanged`.
        """

    @abstractmethod
    async def delete(self, owner: UserId, task_id: UUID, *, expected: Versions | None = None) -> None:
        """Delete the task for good. Raises `TaskNotFound`, `TaskChanged`."""

    @abstractmethod
    async def count(self, owner: UserId) -> TaskCounts:
        """Return how many tasks the owner has in each state."""

    @abstractmethod
    async def update_all(self, owner: UserId, *, completed: bool, to: bool) -> int:
        """Move all of the owner's tasks from the state `completed` to the state `to`, in one step.

        Each changed task gets its own greater `updated_at`. Returns how many were changed.
        """

    @abstractmethod
    async def delete_all(self, owner: UserId, *, completed: bool) -> int:
        """Delete all of the owner's tasks in the state `completed`, in one step. Returns how many were deleted."""
