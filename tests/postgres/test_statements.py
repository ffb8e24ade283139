"""What the adapter sends: for each operation one statement in one round trip, with the owner in it."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres import statements
from adapters.postgres.connections.connection import Rows
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import OwnershipViolation, TaskNotFound
from domain.repository import TaskRepository
from domain.task import TaskDraft, UserId
from tests.executors import executor, running
from tests.operations import CALLS, CALLS_ON_ONE_TASK
from tests.postgres.wire import Wire


@pytest.fixture(params=["on", "off"])
async def tasks(wire: Wire, request: pytest.FixtureRequest) -> AsyncIterator[TaskRepository]:
    async with running(executor(wire.url, queue=10, prepare=request.param)) as database:
        yield PostgresTaskRepository(database)


@pytest.mark.parametrize("name", CALLS)
async def test_an_operation_takes_one_statement_and_round_trip(
    tasks: TaskRepository, wire: Wire, alice: UserId, name: str
) -> None:
    mine, _ = await tasks.add(alice, TaskDraft("x"))
    wire.clear()
    await CALLS[name](tasks, alice, mine.id)
    assert wire.round_trips == 1
    assert len(wire.statements) == 1
    assert "user_id" in wire.statements[0]


@pytest.mark.parametrize("name", CALLS_ON_ONE_TASK)
async def test_foreign_and_missing_tasks_get_the_same_statement(
    tasks: TaskRepository, wire: Wire, alice: UserId, bob: UserId, name: str
) -> None:
    mine, _ = await tasks.add(alice, TaskDraft("x"))
    sent = []
    for task_id in (mine.id, uuid4()):
        wire.clear()
        with pytest.raises(TaskNotFound):
            await CALLS[name](tasks, bob, task_id)
        sent.append(list(wire.statements))
    assert sent[0] == sent[1]
    assert len(sent[0]) == 1


NEXT_VERSION = "greatest(now(), ((updated_at at time zone 'UTC') + interval '1 microsecond') at time zone 'UTC')"
CHANGES = re.compile(
    r"((title|description|completed)=(%\(\w+\)s(::VARCHAR)?|NOT tasks\.completed), )+updated_at="
    + re.escape(NEXT_VERSION)
)


@pytest.mark.parametrize("statement", statements.ALL, ids=lambda statement: statement.text)
def test_every_statement_binds_and_returns_the_owner(statement: Statement) -> None:
    counting = re.fullmatch(r"WITH changed AS \((.+)\) (SELECT .+)", statement.text)
    for part in counting.groups() if counting else (statement.text,):
        returned = re.search(r"^SELECT (.*?) FROM|RETURNING (.*)$", part)
        assert returned is not None
        assert re.fullmatch(r"(tasks|changed)\.user_id(, .+)?", returned[1] or returned[2])
        if part.startswith("INSERT"):
            assert re.search(r"\(id, user_id, .*VALUES \(%\(task_id\)s::UUID, %\(owner\)s::VARCHAR, ", part)
        else:
            owned = r" WHERE (tasks|changed)\.user_id = %\(owner\)s::VARCHAR( (AND|ORDER|GROUP|RETURNING) |$)"
            assert re.search(owned, part)
    assert not re.search(r"\bOR\b|\bUNION\b", statement.text)


@pytest.mark.parametrize("statement", statements.ALL, ids=lambda statement: statement.text)
def test_every_statement_fits_a_distributed_table(statement: Statement) -> None:
    text = statement.text
    assert not re.search(r"ON CONFLICT (?!DO NOTHING)|ON CONSTRAINT|pk_tasks|FOR UPDATE|nextval|\bset_config\b", text)
    assert set(re.findall(r"\b([a-z_]+)\(", text)) <= {"greatest", "now", "count"}
    assert not re.search(r"\b(tasks|changed)\.\w+::", text)  # many casts of a column are not immutable
    changes = re.search(r"UPDATE tasks SET (.+?) WHERE ", text)
    assert changes is None or CHANGES.fullmatch(changes[1])


def test_only_a_read_is_marked_as_one() -> None:
    assert {statement.is_read for statement in statements.ALL} == {True, False}
    changes = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")
    assert [
        statement for statement in statements.ALL if statement.is_read is bool(changes.search(statement.text))
    ] == []


def test_the_list_all_has_every_statement() -> None:
    assert set(_statements_in(vars(statements).values())) == set(statements.ALL)


def _statements_in(values: Iterable[object]) -> Iterator[Statement]:
    for value in values:
        if isinstance(value, Statement):
            yield value
        elif isinstance(value, dict):
            yield from _statements_in(value.values())


class CrossedExecutor(DatabaseExecutor):
    """Answers with another user's rows, like a pooler that has mixed up its clients."""

    is_trusted = True

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def new_deadline(self) -> float:
        return 0

    async def run(self, *_: Any, **__: Any) -> Rows:
        return self.rows

    def distrust(self) -> None:
        self.is_trusted = False


@pytest.mark.parametrize(
    "other",
    [
        lambda _: "bob",
        str.upper,
        str.title,
        lambda alice: f"{alice} ",
        lambda alice: f"{alice}x",
        lambda alice: alice[:-1],
        lambda alice: f"%{alice[1:]}",
        lambda _: "",
        lambda _: None,
    ],
)
@pytest.mark.parametrize("name", CALLS)
async def test_a_row_of_another_user_is_never_returned(
    alice: UserId, name: str, other: Callable[[str], str | None]
) -> None:
    now = datetime.now(UTC)
    mine, foreign = ((owner, uuid4(), "x", None, False, now, now) for owner in (alice.value, other(alice.value)))
    for rows in ([foreign], [mine, foreign], [foreign, mine]):
        database = CrossedExecutor(rows)
        with pytest.raises(OwnershipViolation, match=r"^a statement returned a row of another user$"):
            await CALLS[name](PostgresTaskRepository(database), alice, uuid4())
        assert not database.is_trusted
