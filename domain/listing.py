"""Listings of tasks: the query for a page, and the page that is returned."""

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
    """A place in a listing: directly after the task with this time and id."""

    created_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Asks for up to `limit` tasks that follow `after`. `completed` keeps only one state. Raises `InvalidValue`."""

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
    """One page of a listing. `next` is the position where the next page begins, `None` on the last page."""

    items: tuple[Task, ...]
    next: Position | None

    @classmethod
    def of(cls, tasks: tuple[Task, ...], limit: int) -> "TaskPage":
        """Make a page of the first `limit` tasks. If more are given, there is a next page."""
        if len(tasks) <= limit:
            return cls(tasks, next=None)
        last = tasks[limit - 1]
        return cls(tasks[:limit], next=Position(last.created_at, last.id))


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks a user has in each state."""

    open: int
    completed: int
