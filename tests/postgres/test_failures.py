"""Failed statements: each becomes a domain error, and its text, which can quote the row, is never logged."""

import psycopg
import pytest

from adapters.postgres import failures, repository
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageError, StorageOverloaded, StorageUnavailable, TaskNotFound
from domain.listing import ListQuery
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines
from tests.executors import executor, running
from tests.postgres.conftest import RAISE

FACTS = {"operation", "user_id", "task_id", "outcome", "rows", "duration_ms"}
END_OWN_SESSION = Statement("select pg_terminate_backend(pg_backend_pid())", is_read=False)


async def failure(database: DatabaseExecutor, sqlstate: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as raised:
        await database.run(RAISE, {"sqlstate": sqlstate})
    assert raised.value.sqlstate == sqlstate
    return raised.value


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [(code, StorageUnavailable) for code in ("08006", "08P01", "25006", "26000", "28P01", "3D000", "3F000", "40001")]
    + [(code, StorageUnavailable) for code in ("40P01", "42501", "42P01", "42P05", "55000", "55P03", "57014", "57P01")]
    + [(code, StorageUnavailable) for code in ("57P05", "58030", "XX000")]
    + [("53300", StorageOverloaded)]
    + [(code, StorageError) for code in ("23505", "23514", "42703", "42601")],
)
async def test_each_sqlstate_becomes_its_domain_error(
    raising: DatabaseExecutor, sqlstate: str, expected: type[StorageError]
) -> None:
    error = failures.domain_error(await failure(raising, sqlstate))
    assert type(error) is expected
    assert sqlstate in str(error)
    assert "planted" not in str(error)


async def test_a_full_server_says_retry_after_a_second(raising: DatabaseExecutor) -> None:
    error = failures.domain_error(await failure(raising, "53300"))
    assert isinstance(error, StorageOverloaded)
    assert error.seconds == 1


@pytest.mark.parametrize(
    ("sqlstate", "is_shown"),
    [(code, True) for code in ("08006", "0A000", "42P01", "53100", "55000", "57014", "58030", "XX000")]
    + [(code, False) for code in ("22012", "23514", "40P01")],
)
async def test_operators_see_only_messages_without_rows(
    raising: DatabaseExecutor, sqlstate: str, is_shown: bool
) -> None:
    assert (failures.safe_message(await failure(raising, sqlstate)) == "planted-row") == is_shown


@pytest.mark.parametrize(
    ("sqlstate", "kinds"),
    [
        ("26000", {"is_crossed"}),
        ("42P05", {"is_crossed"}),
        ("0A000", {"is_stale_plan"}),
        ("25006", {"is_read_only"}),
        ("08006", {"is_connection_loss"}),
        ("57P01", {"is_connection_loss"}),
        ("40001", set()),
        ("57014", set()),
    ],
)
def test_each_sqlstate_belongs_to_its_kinds(sqlstate: str, kinds: set[str]) -> None:
    error = psycopg.errors.lookup(sqlstate)("x")
    names = ("is_crossed", "is_stale_plan", "is_read_only", "is_connection_loss")
    assert {name for name in names if getattr(failures, name)(error)} == kinds
    assert not any(getattr(failures, name)(LookupError("x")) for name in names)


def test_an_unreachable_server_is_a_lost_connection() -> None:
    with pytest.raises(psycopg.OperationalError) as raised:
        psycopg.connect("postgresql://nobody@127.0.0.1:1/nowhere")
    assert failures.is_connection_loss(raised.value)
    assert isinstance(failures.domain_error(raised.value), StorageUnavailable)


async def test_a_connection_lost_during_a_statement_is_unavailable(database_url: str) -> None:
    async with running(executor(database_url, END_OWN_SESSION)) as database:
        with pytest.raises(psycopg.Error) as raised:
            await database.run(END_OWN_SESSION, {})
    assert isinstance(failures.domain_error(raised.value), StorageUnavailable)


async def test_a_row_refused_by_checks_is_unquoted(
    logged: LoggedLines, tasks: PostgresTaskRepository, alice: UserId
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


async def test_a_duplicate_id_leaves_the_first_task_alone(
    tasks: PostgresTaskRepository, alice: UserId, bob: UserId, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, _ = await tasks.add(alice, TaskDraft("x"))
    monkeypatch.setattr(repository, "uuid4", lambda: task.id)
    for owner in (alice, bob):
        with pytest.raises(StorageError, match="error UniqueViolation, sqlstate 23505, constraint pk_tasks"):
            await tasks.add(owner, TaskDraft("y"))
    assert await tasks.get(alice, task.id) == task


async def test_operations_are_logged_without_content(
    logged: LoggedLines, tasks: PostgresTaskRepository, alice: UserId, bob: UserId
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


async def test_a_page_reads_one_row_more(logged: LoggedLines, tasks: PostgresTaskRepository, alice: UserId) -> None:
    for _ in range(4):
        await tasks.add(alice, TaskDraft("x"))
    await tasks.list(alice, ListQuery(limit=2))
    assert logged()[-1]["rows"] == 3


async def test_a_timed_out_operation_is_logged_as_unavailable(
    logged: LoggedLines, tasks: PostgresTaskRepository, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    task, _ = await tasks.add(alice, TaskDraft("x"))
    with out_of_band.transaction():
        out_of_band.execute("select 1 from tasks where id = %s for update", [task.id])
        with pytest.raises(StorageUnavailable):
            await tasks.toggle(alice, task.id)
    assert [line["outcome"] for line in logged()] == ["ok", "StorageUnavailable"]
