"""What the adapter sends: one statement in one round trip for each operation, with the owner in it."""

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from adapters.postgres.connections.engine import create_postgres_engine
from sqlalchemy.sql import ClauseElement, Executable

from adapters.postgres import statements
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import OwnershipViolation, TaskNotFound
from domain.idempotency import IdempotencyKey
from domain.listing import ListQuery, Position
from domain.repository import TaskRepository
from domain.task import TaskChanges, TaskDraft, UserId
from tests.postgres.wire import Wire

Operation = Callable[[TaskRepository, UserId, UUID], Coroutine[Any, Any, Any]]

POSITION = Position(datetime(2999, 1, 1, tzinfo=UTC), uuid4())
OPERATIONS: dict[str, Operation] = {
    "add": lambda tasks, owner, _: tasks.add(owner, TaskDraft("x")),
    "add once": lambda tasks, owner, _: tasks.add(owner, TaskDraft("x"), key=IdempotencyKey("k")),
    "get": lambda tasks, owner, task_id: tasks.get(owner, task_id),
    "list": lambda tasks, owner, _: tasks.list(owner),
    "list after": lambda tasks, owner, _: tasks.list(owner, ListQuery(after=POSITION)),
    "list completed": lambda tasks, owner, _: tasks.list(owner, ListQuery(completed=True)),
    "list completed after": lambda tasks, owner, _: tasks.list(owner, ListQuery(completed=True, after=POSITION)),
    "update one field": lambda tasks, owner, task_id: tasks.update(owner, task_id, TaskChanges(title="y")),
    "update all fields": lambda tasks, owner, task_id: tasks.update(
        owner, task_id, TaskChanges("y", None, completed=True)
    ),
    "update nothing": lambda tasks, owner, task_id: tasks.update(owner, task_id, TaskChanges()),
    "toggle": lambda tasks, owner, task_id: tasks.toggle(owner, task_id),
    "delete": lambda tasks, owner, task_id: tasks.delete(owner, task_id),
}
ALL_STATEMENTS: list[Executable] = [
    statements.ADD,
    statements.GET,
    statements.ADD_ONCE,
    *statements.TOGGLE.values(),
    *statements.DELETE.values(),
    *(statement for by_condition in statements.UPDATE.values() for statement in by_condition.values()),
    *statements.LIST.values(),
]


@pytest.fixture(params=["on", "off"])
async def tasks(wire: Wire, request: pytest.FixtureRequest) -> AsyncIterator[TaskRepository]:
    engine = create_postgres_engine(wire.url, prepared_statements=request.param)
    database = DatabaseExecutor(engine, connections=1, queue=10, deadline=5)
    database.start()
    yield PostgresTaskRepository(database)
    await database.close()


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_is_one_statement_in_one_round_trip(
    tasks: TaskRepository, wire: Wire, alice: UserId, bob: UserId, name: str
) -> None:
    operation = OPERATIONS[name]
    mine, _ = await tasks.add(alice, TaskDraft("x"))
    await operation(tasks, bob, mine.id) if name.startswith(("add", "list")) else None  # connected and compiled
    wire.clear()
    await operation(tasks, alice, mine.id)
    assert wire.round_trips == 1
    assert len(wire.statements) == 1
    assert "user_id" in wire.statements[0]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if not name.startswith(("add", "list"))])
async def test_another_users_task_and_none_take_the_same_statement(
    tasks: TaskRepository, wire: Wire, alice: UserId, bob: UserId, name: str
) -> None:
    mine, _ = await tasks.add(alice, TaskDraft("x"))
    sent = []
    for task_id in (mine.id, uuid4()):
        wire.clear()
        with pytest.raises(TaskNotFound):
            await OPERATIONS[name](tasks, bob, task_id)
        sent.append(list(wire.statements))
    assert sent[0] == sent[1]
    assert len(sent[0]) == 1


@pytest.mark.parametrize("statement", ALL_STATEMENTS, ids=str)
def test_every_statement_binds_the_owner_and_returns_it(statement: Executable) -> None:
    sql = str(cast("ClauseElement", statement).compile(dialect=create_postgres_engine("postgresql://").dialect))
    returned = re.search(r"^SELECT (.*?) ?\n?FROM|RETURNING (.*)$", sql, re.DOTALL)
    assert returned is not None
    assert (returned[1] or returned[2]).split(",")[0].strip() == "tasks.user_id"
    if sql.startswith("INSERT"):
        assert re.search(r"\(id, user_id, .*VALUES \(%\(task_id\)s::UUID, %\(owner\)s", sql)
    else:
        assert re.search(r"WHERE tasks.user_id = %\(owner\)s", sql)
    assert " OR " not in sql


def test_no_statement_on_tasks_is_missing_here() -> None:
    assert set(_statements_in(vars(statements).values())) == set(ALL_STATEMENTS)


def _statements_in(values: Iterable[object]) -> Iterator[Executable]:
    for value in values:
        if isinstance(value, Executable):
            yield value
        elif isinstance(value, dict):
            yield from _statements_in(value.values())


class CrossedExecutor(DatabaseExecutor):
    """Answers as a pooler does that has mixed up its clients: with rows of somebody else."""

    is_trusted = True

    def __init__(self, rows: Sequence[tuple[object, ...]]) -> None:
        self.rows = rows

    async def run(self, operation: Callable[..., Any], **_: Any) -> Any:
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
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_row_of_another_user_is_never_returned(
    alice: UserId, name: str, other: Callable[[str], str | None]
) -> None:
    now = datetime.now(UTC)
    mine, foreign = ((owner, uuid4(), "x", None, False, now, now) for owner in (alice.value, other(alice.value)))
    for rows in ([foreign], [mine, foreign], [foreign, mine]):
        database = CrossedExecutor(rows)
        with pytest.raises(OwnershipViolation, match=r"^a statement returned a row of another user$"):
            await OPERATIONS[name](PostgresTaskRepository(database), alice, uuid4())
        assert not database.is_trusted
