"""What is tried again, and what is not: a write whose outcome nobody knows is never sent twice."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from adapters.postgres import failures
from adapters.postgres.connections.executor import DatabaseExecutor
from domain.errors import StorageUnavailable
from domain.repository import TaskRepository
from domain.task import TaskChanges, TaskDraft, UserId
from tests.postgres.wire import Wire


async def test_a_read_whose_connection_is_lost_is_sent_again(
    wire_tasks: TaskRepository, wire: Wire, alice: UserId
) -> None:
    task, _ = await wire_tasks.add(alice, TaskDraft("x"))
    for read in (
        wire_tasks.get(alice, task.id),
        wire_tasks.update(alice, task.id, TaskChanges()),
        wire_tasks.list(alice),
    ):
        wire.clear()
        wire.drops_next = 1
        await read
        assert len(wire.statements) == 2


async def test_a_write_whose_connection_is_lost_is_not(wire_tasks: TaskRepository, wire: Wire, alice: UserId) -> None:
    task, _ = await wire_tasks.add(alice, TaskDraft("x"))
    writes = (
        wire_tasks.add(alice, TaskDraft("y")),
        wire_tasks.update(alice, task.id, TaskChanges(title="y")),
        wire_tasks.toggle(alice, task.id),
        wire_tasks.delete(alice, task.id),
    )
    for write in writes:
        wire.clear()
        wire.drops_next = 1
        with pytest.raises(StorageUnavailable):
            await write
        assert len(wire.statements) == 1


async def times_tried(
    database: DatabaseExecutor, fail: Callable[[Connection], None], **options: Callable[[Exception], bool]
) -> int:
    tried = 0

    def try_it(connection: Connection) -> None:
        nonlocal tried
        tried += 1
        fail(connection)

    with pytest.raises(DBAPIError):
        await database.run(try_it, **options)
    return tried


@pytest.mark.parametrize(("sqlstate", "times"), [("40P01", 2), ("40001", 2), ("57014", 1), ("23514", 1)])
async def test_what_was_rolled_back_for_certain_is_tried_once_more(
    database: DatabaseExecutor, fail: Callable[[Connection], None], times: int
) -> None:
    assert await times_tried(database, fail, may_repeat=failures.is_undone) == times


@pytest.mark.parametrize("sqlstate", ["40P01"])
async def test_unless_it_is_asked_for_nothing_is_tried_again(
    database: DatabaseExecutor, fail: Callable[[Connection], None]
) -> None:
    assert await times_tried(database, fail) == 1
