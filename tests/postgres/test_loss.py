"""A database that is lost is told of once, and once when it is back, however many operations feel it."""

from collections.abc import AsyncIterator

import pytest

from adapters.postgres.engine import create_postgres_engine
from adapters.postgres.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageError, StorageUnavailable
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines
from tests.postgres.wire import Wire

LOST = {"event": "database lost", "level": "warning", "error": "OperationalError"}
REGAINED = {"event": "database regained", "level": "info"}


@pytest.fixture
async def tasks(wire: Wire) -> AsyncIterator[PostgresTaskRepository]:
    engine = create_postgres_engine(wire.url, prepared_statements="off", initialize=False)
    database = DatabaseExecutor(engine, connections=1, queue=10, deadline=5)
    database.start()
    yield PostgresTaskRepository(database)
    await database.close()


async def test_each_is_told_once(tasks: PostgresTaskRepository, wire: Wire, alice: UserId, logged: LoggedLines) -> None:
    for _ in range(2):
        for _ in range(2):
            wire.drops_next = True
            with pytest.raises(StorageUnavailable):
                await tasks.add(alice, TaskDraft("x"))
        for _ in range(2):
            await tasks.add(alice, TaskDraft("x"))
    told = [line for line in logged() if line["event"] != "database"]
    for line in told:
        del line["timestamp"]
    assert told == [LOST, REGAINED] * 2


async def test_a_statement_that_fails_is_no_loss(
    tasks: PostgresTaskRepository, alice: UserId, logged: LoggedLines
) -> None:
    draft = TaskDraft("x")
    object.__setattr__(draft, "title", " x ")  # past the domain's validation
    with pytest.raises(StorageError):
        await tasks.add(alice, draft)
    await tasks.add(alice, TaskDraft("x"))
    assert {line["event"] for line in logged()} == {"database"}
