"""What the adapter makes of each answer: the caller's tasks, and one log line in every case."""

import contextlib
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres import gateway
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageUnavailable, TaskChanged, TaskNotFound
from domain.idempotency import IdempotencyKey
from domain.repository import TaskRepository
from domain.task import TaskChanges, TaskDraft, UserId
from tests.conftest import LoggedLines

OWNER = UserId("Alice")
NOW = datetime.now(UTC)
ID = uuid4()
HERS = ("Alice", ID, "planted", None, False, NOW, NOW)
FOREIGN = ("alice", *HERS[1:])
KEY = IdempotencyKey("k")
DRAFT = TaskDraft("planted")
ANY = frozenset[datetime]()


Answer = Sequence[tuple[object, ...]] | Exception


class Answering(DatabaseExecutor):
    """Answers one statement after the other with the given rows or failure."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.deadlines: list[object] = []

    def new_deadline(self) -> float:
        return 7.0

    async def run(self, *_: Any, until: float | None = None, **__: Any) -> Any:
        self.deadlines.append(until)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def distrust(self) -> None:
        """There is no connection."""


async def test_a_task_has_the_callers_owner_id() -> None:
    page = await PostgresTaskRepository(Answering([HERS, HERS])).list(OWNER)
    assert [task.owner for task in page.items] == [OWNER, OWNER]


async def test_a_task_deleted_during_a_repeat_is_recreated() -> None:
    task, is_new = await PostgresTaskRepository(Answering([], [], [HERS])).add(OWNER, DRAFT, key=KEY)
    assert (task.owner, is_new) == (OWNER, True)


async def test_repeated_attempts_share_one_deadline() -> None:
    database = Answering(*[[]] * 20, StorageUnavailable("the deadline passed"))
    with pytest.raises(StorageUnavailable, match="the deadline passed"):
        await PostgresTaskRepository(database).add(OWNER, DRAFT, key=KEY)
    assert database.deadlines == [7.0] * 21


@pytest.mark.parametrize("existing", [[HERS], []])
async def test_asking_why_a_version_failed_shares_the_deadline(existing: Answer) -> None:
    database = Answering([], existing)
    with pytest.raises(TaskChanged if existing else TaskNotFound):
        await PostgresTaskRepository(database).toggle(OWNER, ID, expected=ANY)
    assert database.deadlines == [7.0, 7.0]


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        ([HERS, HERS], {"level": "info", "outcome": "ok", "rows": 2}),
        ([HERS, FOREIGN], {"level": "warning", "outcome": "OwnershipViolation", "rows": 0}),
        (StorageUnavailable("x"), {"level": "warning", "outcome": "StorageUnavailable", "rows": 0}),
        (
            psycopg.errors.CheckViolation("planted"),
            {"level": "warning", "outcome": "StorageError", "rows": 0, "error": "CheckViolation", "sqlstate": "23514"},
        ),
    ],
    ids=["ok", "a row of another", "no answer", "a failure"],
)
async def test_every_outcome_is_logged_in_one_line(
    monkeypatch: pytest.MonkeyPatch, logged: LoggedLines, answer: Any, facts: dict[str, object]
) -> None:
    monkeypatch.setattr(gateway, "perf_counter", iter([1.0, 2.2345678]).__next__)
    tasks = PostgresTaskRepository(Answering(answer))
    if facts["outcome"] == "ok":
        await tasks.list(OWNER)
    else:
        with pytest.raises(Exception, match=r"."):
            await tasks.list(OWNER)
    (line,) = logged()
    del line["timestamp"]
    operation = {"event": "database", "operation": "list", "user_id": "Alice", "task_id": None, "duration_ms": 1234.568}
    assert line == operation | facts


Operation = Callable[[TaskRepository], Coroutine[Any, Any, object]]


@pytest.mark.parametrize(
    ("operation", "answers", "lines"),
    [
        (lambda tasks: tasks.add(OWNER, DRAFT), [[HERS]], [("add", "ok")]),
        (lambda tasks: tasks.get(OWNER, ID), [[HERS]], [("get", "ok")]),
        (lambda tasks: tasks.get(OWNER, ID), [[]], [("get", "not_found")]),
        (lambda tasks: tasks.list(OWNER), [[]], [("list", "ok")]),
        (lambda tasks: tasks.update(OWNER, ID, TaskChanges()), [[HERS]], [("update", "ok")]),
        (lambda tasks: tasks.toggle(OWNER, ID), [[HERS]], [("toggle", "ok")]),
        (lambda tasks: tasks.delete(OWNER, ID), [[HERS]], [("delete", "ok")]),
        (lambda tasks: tasks.count(OWNER), [[]], [("count", "ok")]),
        (lambda tasks: tasks.update_all(OWNER, completed=True, to=False), [[]], [("update_all", "ok")]),
        (lambda tasks: tasks.delete_all(OWNER, completed=True), [[]], [("delete_all", "ok")]),
        (
            lambda tasks: tasks.delete(OWNER, ID, expected=ANY),
            [[], []],
            [("delete", "unexpected"), ("get", "not_found")],
        ),
        (lambda tasks: tasks.add(OWNER, DRAFT, key=KEY), [[HERS]], [("add_once", "ok")]),
        (lambda tasks: tasks.add(OWNER, DRAFT, key=KEY), [[], [HERS]], [("add_once", "exists"), ("get", "ok")]),
    ],
)
async def test_a_line_names_the_operation_and_outcome(
    logged: LoggedLines, operation: Operation, answers: list[Answer], lines: list[tuple[str, str]]
) -> None:
    with contextlib.suppress(TaskNotFound):
        await operation(PostgresTaskRepository(Answering(*answers)))
    assert [(line["operation"], line["outcome"]) for line in logged()] == lines
