"""The port: how tasks are kept. Every method takes the owner first, so none can be called without one."""

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

    Where `expected` is given, a task is changed only if its version is among these, in one step with the change;
    else `TaskChanged` is raised. A missing task is `TaskNotFound`, whatever is expected of it.
    """

    @abstractmethod
    async def add(self, owner: UserId, draft: TaskDraft, *, key: IdempotencyKey | None = None) -> tuple[Task, bool]:
        """Keep a new task. Returns it, and whether this call made it.

        Its id is a random UUID version 4, its two times are equal. Under a `key` the owner has one task: a repeat
        returns it as it is now. Raises `IdempotencyKeyReused` if the draft cannot have made it. A deleted task is made
        anew.
        """

    @abstractmethod
    async def get(self, owner: UserId, task_id: UUID) -> Task:
        """The owner's task. Raises `TaskNotFound`."""

    @abstractmethod
    async def list(self, owner: UserId, query: ListQuery = FIRST_PAGE) -> TaskPage:
        """The owner's tasks that the query asks for, in its order."""

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
        """Delete the task for good. Raises `TaskNotFound`, `TaskChanged`."""

    @abstractmethod
    async def count(self, owner: UserId) -> TaskCounts:
        """How many tasks the owner has in each state."""

    @abstractmethod
    async def update_all(self, owner: UserId, *, completed: bool, to: bool) -> int:
        """Set `completed` to `to` on every task of the owner that is in the state `completed`, in one step.

        Each changed task gets its own greater `updated_at`. Returns how many there were.
        """

    @abstractmethod
    async def delete_all(self, owner: UserId, *, completed: bool) -> int:
        """Delete every task of the owner that is in the state `completed`, in one step. Returns how many there were."""
