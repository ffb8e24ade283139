"""Listings of tasks: which page is asked for, and what comes back."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

from domain.errors import InvalidValue
from domain.task import Task

PAGE_LIMIT_MAX: Final = 200
PAGE_LIMIT_DEFAULT: Final = 50


class Order(Enum):
    """By `created_at`, then `id`: both descending or both ascending."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a listing: just behind the task that it names."""

    created_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Up to `limit` tasks that follow `after`; `completed` keeps only those in that state. Raises `InvalidValue`."""

    limit: int = PAGE_LIMIT_DEFAULT
    after: Position | None = None
    completed: bool | None = None
    order: Order = Order.NEWEST

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= PAGE_LIMIT_MAX:
            raise InvalidValue("limit", f"must be from 1 to {PAGE_LIMIT_MAX}")


FIRST_PAGE: Final = ListQuery()


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a listing. `next` is the position to go on from, `None` on the last page."""

    items: tuple[Task, ...]
    next: Position | None

    @classmethod
    def of(cls, tasks: tuple[Task, ...], limit: int) -> "TaskPage":
        """The first `limit` of the tasks; one more shows that there is a next page."""
        if len(tasks) <= limit:
            return cls(tasks, next=None)
        last = tasks[limit - 1]
        return cls(tasks[:limit], next=Position(last.created_at, last.id))


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks a user has in each state."""

    open: int
    completed: int
