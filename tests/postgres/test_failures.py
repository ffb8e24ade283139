"""What a failed statement means to the core, and what of it is logged: never its text, which can quote the row."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres import failures
from adapters.postgres.engine import driver_connection
from adapters.postgres.executor import DatabaseExecutor
from adapters.postgres.guard import lift_guard
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageError, StorageOverloaded, StorageUnavailable, TaskNotFound
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines

FACTS = {"operation", "user_id", "task_id", "outcome", "rows", "duration_ms"}


@pytest.mark.parametrize(
    ("sqlstate", "meaning"),
    [
        ("08006", StorageUnavailable),
        ("25006", StorageUnavailable),
        ("26000", StorageUnavailable),
        ("40001", StorageUnavailable),
        ("40P01", StorageUnavailable),
        ("42P05", StorageUnavailable),
        ("53300", StorageOverloaded),
        ("55P03", StorageUnavailable),
        ("57014", StorageUnavailable),
        ("57P01", StorageUnavailable),
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


async def test_every_operation_is_logged_with_its_facts_and_no_content(
    tasks: PostgresTaskRepository, alice: UserId, bob: UserId, logged: LoggedLines
) -> None:
    task = await tasks.add(alice, TaskDraft("planted-title", "planted-description"))
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


async def test_an_operation_that_times_out_is_logged_as_unavailable(
    tasks: PostgresTaskRepository, out_of_band: psycopg.Connection, alice: UserId, logged: LoggedLines
) -> None:
    task = await tasks.add(alice, TaskDraft("x"))
    with out_of_band.transaction():
        out_of_band.execute("select 1 from tasks where id = %s for update", [task.id])
        with pytest.raises(StorageUnavailable):
            await tasks.toggle(alice, task.id)
    assert [line["outcome"] for line in logged()] == ["ok", "StorageUnavailable"]
