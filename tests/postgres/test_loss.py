"""The loss of the database and its return: each is logged once, however many operations notice."""

import pytest

from domain.errors import StorageError, StorageUnavailable
from domain.repository import TaskRepository
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines
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
