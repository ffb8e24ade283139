"""Readiness: asked for where it is not known, and not where it is."""

from collections.abc import AsyncIterator

import pytest
from adapters.postgres.connections.engine import create_postgres_engine

from adapters.postgres.connections import executor
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from adapters.postgres.schema import readiness
from adapters.postgres.schema.readiness import PostgresReadiness
from domain.errors import StorageOutdated, StorageUnavailable
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines
from tests.postgres.wire import Wire


@pytest.fixture
async def database(wire: Wire) -> AsyncIterator[DatabaseExecutor]:
    engine = create_postgres_engine(wire.url, connect_timeout=2, prepared_statements="off", initialize=False)
    database = DatabaseExecutor(engine, connections=1, queue=10, deadline=0.5)
    database.start()
    yield database
    await database.close()


async def test_the_first_check_asks_and_the_next_need_not(database: DatabaseExecutor, wire: Wire) -> None:
    for _ in range(3):
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 1


async def test_an_operation_that_succeeded_is_as_good_as_a_check(
    database: DatabaseExecutor, wire: Wire, alice: UserId
) -> None:
    await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
    wire.clear()
    await PostgresReadiness(database).check()
    assert wire.statements == []


async def test_after_a_failure_the_server_is_asked_again(database: DatabaseExecutor, wire: Wire, alice: UserId) -> None:
    tasks = PostgresTaskRepository(database)
    await PostgresReadiness(database).check()
    wire.is_mute = True
    with pytest.raises(StorageUnavailable):
        await tasks.add(alice, TaskDraft("x"))
    with pytest.raises(StorageUnavailable):
        await PostgresReadiness(database).check()


async def test_what_is_not_ready_and_why_is_logged(database: DatabaseExecutor, wire: Wire, logged: LoggedLines) -> None:
    wire.drops_next = 1
    with pytest.raises(StorageUnavailable, match="error OperationalError"):
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 1
    wire.is_mute = True
    with pytest.raises(StorageUnavailable, match="the deadline passed"):
        await PostgresReadiness(database).check()
    facts = [(line["level"], line["error"], line.get("reason")) for line in logged() if line["event"] == "not ready"]
    assert facts == [
        ("warning", "OperationalError", None),
        ("warning", "StorageUnavailable", "the deadline passed"),
    ]


async def test_a_success_of_long_ago_is_no_answer(
    database: DatabaseExecutor, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    for _ in range(2):
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 2


async def test_of_probes_each_second_one_in_thirty_asks(
    database: DatabaseExecutor, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(61):
        monkeypatch.setattr(executor, "monotonic", lambda now=float(second): now)
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 3


async def test_a_database_whose_schema_is_not_current_is_not_ready(empty_database_url: str) -> None:
    database = DatabaseExecutor(create_postgres_engine(empty_database_url), connections=1, queue=1, deadline=5)
    database.start()
    with pytest.raises(StorageOutdated):
        await PostgresReadiness(database).check()
    await database.close()
