"""Listings: the query and the page."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.errors import InvalidValue
from domain.listing import FIRST_PAGE, PAGE_LIMIT_MAX, ListQuery, Order, Position, TaskPage
from domain.task import Task, UserId

START = datetime(2026, 1, 1, tzinfo=UTC)
TASKS = tuple(
    Task(UUID(int=n), UserId("alice"), "x", None, completed=False, created_at=time, updated_at=time)
    for n in range(3)
    for time in [START + timedelta(n)]
)


@pytest.mark.parametrize("limit", [-1, 0, PAGE_LIMIT_MAX + 1])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(InvalidValue, match=f"^limit must be from 1 to {PAGE_LIMIT_MAX}$"):
        ListQuery(limit)


@pytest.mark.parametrize("limit", [1, PAGE_LIMIT_MAX])
def test_the_smallest_and_largest_limits_are_allowed(limit: int) -> None:
    assert ListQuery(limit).limit == limit


def test_the_default_page_is_fifty_newest_first() -> None:
    assert ListQuery(50, None, None, Order.NEWEST) == FIRST_PAGE


@pytest.mark.parametrize("limit", [3, 4])
def test_the_last_page_has_no_next_position(limit: int) -> None:
    assert TaskPage.of(TASKS, limit) == TaskPage(TASKS, None)


def test_an_extra_task_gives_the_next_position() -> None:
    assert TaskPage.of(TASKS, 2) == TaskPage(TASKS[:2], Position(TASKS[1].created_at, TASKS[1].id))
