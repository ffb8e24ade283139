"""What a failed statement means to the core, and what of it is logged: never its text, which can quote the row."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres import failures, repository
from adapters.postgres.connections.engine import create_postgres_engine, driver_connection
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import lift_guard
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageError, StorageOverloaded, StorageUnavailable, TaskNotFound
from domain.listing import ListQuery
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines

FACTS = {"operation", "user_id", "task_id", "outcome", "rows", "duration_ms"}


@pytest.mark.parametrize(
    ("sqlstate", "meaning"),
    [
        ("08006", StorageUnavailable),
        ("25006", StorageUnavailable),
        ("26000", StorageUnavailable),
        ("28P01", StorageUnavailable),
        ("3D000", StorageUnavailable),
        ("40001", StorageUnavailable),
        ("40P01", StorageUnavailable),
        ("42P05", StorageUnavailable),
        ("53300", StorageOverloaded),
        ("55P03", StorageUnavailable),
        ("57014", StorageUnavailable),
        ("57P01", StorageUnavailable),
        ("58030", StorageUnavailable),
        ("23514", StorageError),
        ("42P01", StorageError),
        ("XX000", StorageError),
    ],
)
async def test_an_sqlstate_has_its_meaning(
    database: DatabaseExecutor, fail: Callable[[Connection], None], sqlstate: str, meaning: type[StorageError]
) -> None:
    with pytest.raises(SQLAlchemyError) as raised:
        await database.run(fail)
    failure = failures.meaning(raised.value)
    assert type(failure) is meaning
    assert sqlstate in str(failure)
    assert "planted" not in str(failure)


@pytest.mark.parametrize("sqlstate", ["53300"])
async def test_where_the_server_says_that_it_has_no_room_a_second_is_waited(
    database: DatabaseExecutor, fail: Callable[[Connection], None]
) -> None:
    with pytest.raises(SQLAlchemyError) as raised:
        await database.run(fail)
    failure = failures.meaning(raised.value)
    assert isinstance(failure, StorageOverloaded)
    assert failure.seconds == 1


@pytest.mark.parametrize(
    ("sqlstate", "is_told"),
    [(code, True) for code in ("08006", "0A000", "42P01", "53100", "55000", "57014", "XX000")]
    + [(code, False) for code in ("22012", "23514", "40P01")],
)
async def test_an_operator_is_told_the_servers_words_where_they_quote_no_row(
    database: DatabaseExecutor, fail: Callable[[Connection], None], is_told: bool
) -> None:
    with pytest.raises(SQLAlchemyError) as raised:
        await database.run(fail)
    assert (failures.words(raised.value) == "planted-row") == is_told


@pytest.mark.parametrize(
    ("sqlstate", "is_crossed", "is_read_only"),
    [("26000", True, False), ("42P05", True, False), ("25006", False, True), ("40001", False, False)],
)
async def test_two_kinds_of_faults_are_told_from_the_rest(
    database: DatabaseExecutor,
    fail: Callable[[Connection], None],
    is_crossed: bool,
    is_read_only: bool,
) -> None:
    with pytest.raises(SQLAlchemyError) as raised:
        await database.run(fail)
    assert (failures.is_crossed(raised.value), failures.is_read_only(raised.value)) == (is_crossed, is_read_only)


def test_what_is_no_answer_of_the_server_is_neither() -> None:
    error = LookupError("x")
    assert not failures.is_crossed(error)
    assert not failures.is_read_only(error)
    assert not failures.is_undone_or_lost(error)


def test_a_server_that_cannot_be_reached_is_a_lost_connection() -> None:
    with pytest.raises(SQLAlchemyError) as raised:
        create_postgres_engine("postgresql://nobody@127.0.0.1:1/nowhere").connect()
    assert failures.is_connection_loss(raised.value)
    assert isinstance(failures.meaning(raised.value), StorageUnavailable)


async def test_a_connection_lost_in_mid_statement_is_unavailable(database: DatabaseExecutor) -> None:
    def commit_suicide(connection: Connection) -> None:
        lift_guard(driver_connection(connection))  # which lets no call with arguments pass
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(SQLAlchemyError) as raised:
        await database.run(commit_suicide)
    assert isinstance(failures.meaning(raised.value), StorageUnavailable)


async def test_a_row_that_a_check_refuses_is_a_defect_and_is_not_quoted(
    tasks: PostgresTaskRepository, alice: UserId, logged: LoggedLines
) -> None:
    draft = TaskDraft("planted-title")
    object.__setattr__(draft, "title", " planted-title ")  # past the domain's validation
    with pytest.raises(StorageError) as raised:
        await tasks.add(alice, draft)
    (line,) = logged()
    assert line["outcome"] == "StorageError"
    assert (line["error"], line["sqlstate"]) == ("CheckViolation", "23514")
    assert line["constraint"] == "ck_tasks_title_trimmed"
    assert "planted" not in str(raised.value)
    assert raised.value.__suppress_context__


async def test_an_id_that_is_drawn_twice_is_a_defect_and_the_task_of_that_id_stays(
    tasks: PostgresTaskRepository, alice: UserId, bob: UserId, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, _ = await tasks.add(alice, TaskDraft("x"))
    monkeypatch.setattr(repository, "uuid4", lambda: task.id)
    for owner in (alice, bob):
        with pytest.raises(StorageError, match="error UniqueViolation, sqlstate 23505, constraint pk_tasks"):
            await tasks.add(owner, TaskDraft("y"))
    assert await tasks.get(alice, task.id) == task


async def test_every_operation_is_logged_with_its_facts_and_no_content(
    tasks: PostgresTaskRepository, alice: UserId, bob: UserId, logged: LoggedLines
) -> None:
    task, _ = await tasks.add(alice, TaskDraft("planted-title", "planted-description"))
    await tasks.list(alice)
    with pytest.raises(TaskNotFound):
        await tasks.toggle(bob, task.id)
    lines = logged()
    assert all(line["event"] == "database" and line.keys() >= FACTS for line in lines)
    assert [(line["operation"], line["user_id"], line["task_id"], line["outcome"], line["rows"]) for line in lines] == [
        ("add", alice.value, str(task.id), "ok", 1),
        ("list", alice.value, None, "ok", 1),
        ("toggle", bob.value, str(task.id), "not_found", 0),
    ]


async def test_a_page_costs_one_row_more_than_it_shows(
    tasks: PostgresTaskRepository, alice: UserId, logged: LoggedLines
) -> None:
    for _ in range(4):
        await tasks.add(alice, TaskDraft("x"))
    await tasks.list(alice, ListQuery(limit=2))
    assert logged()[-1]["rows"] == 3


async def test_an_operation_that_times_out_is_logged_as_unavailable(
    tasks: PostgresTaskRepository, out_of_band: psycopg.Connection, alice: UserId, logged: LoggedLines
) -> None:
    task, _ = await tasks.add(alice, TaskDraft("x"))
    with out_of_band.transaction():
        out_of_band.execute("select 1 from tasks where id = %s for update", [task.id])
        with pytest.raises(StorageUnavailable):
            await tasks.toggle(alice, task.id)
    assert [line["outcome"] for line in logged()] == ["ok", "StorageUnavailable"]
