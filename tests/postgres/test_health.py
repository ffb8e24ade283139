"""The loss of the database and its return: each is logged once, however many operations notice."""

from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.connections import connection
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageError, StorageUnavailable, TaskNotFound
from domain.repository import TaskRepository
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines
from tests.executors import executor, running
from tests.postgres.wire import Wire

LOST = {"event": "database lost", "level": "warning", "error": "OperationalError"}
REGAINED = {"event": "database regained", "level": "info"}


async def test_loss_and_recovery_are_logged_once_each(
    wire_tasks: TaskRepository, wire: Wire, alice: UserId, logged: LoggedLines
) -> None:
    for _ in range(2):
        for _ in range(2):
            wire.drops_next = 1
            with pytest.raises(StorageUnavailable):
                await wire_tasks.add(alice, TaskDraft("x"))
        for _ in range(2):
            await wire_tasks.add(alice, TaskDraft("x"))
    lines = [line for line in logged() if line["event"] != "database"]
    for line in lines:
        del line["timestamp"]
    assert lines == [LOST, REGAINED] * 2


async def test_a_failed_statement_is_no_loss(logged: LoggedLines, wire_tasks: TaskRepository, alice: UserId) -> None:
    draft = TaskDraft("x")
    object.__setattr__(draft, "title", " x ")  # past the domain's validation
    with pytest.raises(StorageError):
        await wire_tasks.add(alice, draft)
    await wire_tasks.add(alice, TaskDraft("x"))
    assert {line["event"] for line in logged()} == {"database"}


async def test_a_loss_in_the_poolers_probe_counts(
    database_url: str, alice: UserId, logged: LoggedLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = [psycopg.errors.ProtocolViolation("server conn crashed?") for _ in range(3)]  # as PgBouncer says it

    async def probe(*_: object) -> bool:
        if losses:
            raise losses.pop()
        return False

    monkeypatch.setattr(connection, "is_safe_to_prepare", probe)
    async with running(executor(database_url)) as database:
        tasks = PostgresTaskRepository(database)
        with pytest.raises(StorageUnavailable):
            await tasks.get(alice, uuid4())
        assert len(losses) == 1
        with pytest.raises(TaskNotFound):
            await tasks.get(alice, uuid4())
    lines = [(line["event"], line.get("sqlstate")) for line in logged()]
    assert lines == [
        ("database lost", "08P01"),
        ("database", "08P01"),
        ("database regained", None),
        ("database", None),
    ]
