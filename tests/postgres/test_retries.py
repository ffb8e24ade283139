"""Which statements are repeated: a write with an unknown outcome never is."""

import asyncio

import psycopg
import pytest

from adapters.postgres import failures
from adapters.postgres.connections.connection import Connection
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from domain.errors import StorageUnavailable
from domain.repository import TaskRepository
from domain.task import TaskDraft, UserId
from tests.databases import own_database, with_parameters
from tests.executors import backend, executor, running
from tests.operations import CALLS, CALLS_THAT_READ
from tests.postgres.conftest import RAISE, READ_AND_RAISE
from tests.postgres.wire import Wire


@pytest.mark.parametrize("name", sorted(CALLS_THAT_READ))
async def test_a_read_is_repeated_after_a_lost_connection(
    wire_tasks: TaskRepository, wire: Wire, alice: UserId, name: str
) -> None:
    task, _ = await wire_tasks.add(alice, TaskDraft("x"))
    wire.clear()
    wire.drops_next = 1
    await CALLS[name](wire_tasks, alice, task.id)
    assert len(wire.statements) == 2


@pytest.mark.parametrize("name", sorted(CALLS.keys() - CALLS_THAT_READ))
async def test_a_write_is_not_repeated_after_a_loss(
    wire_tasks: TaskRepository, wire: Wire, alice: UserId, name: str
) -> None:
    task, _ = await wire_tasks.add(alice, TaskDraft("x"))
    wire.clear()
    wire.drops_next = 1
    with pytest.raises(StorageUnavailable):
        await CALLS[name](wire_tasks, alice, task.id)
    assert len(wire.statements) == 1


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize(
    ("sqlstate", "repeats"),
    [(code, "always") for code in ("40001", "40P01", "0A000", "26000", "42P05", "57P05")]
    + [(code, "reads") for code in ("08006", "08P01", "57P01", "57P02", "57P03")]
    + [(code, "never") for code in ("57014", "23514", "42P01", "53300", "55P03", "XX000")],
)
def test_the_sqlstate_decides_whether_to_repeat(sqlstate: str, repeats: str, *, is_read: bool) -> None:
    error = psycopg.errors.lookup(sqlstate)("x")
    assert failures.may_be_repeated(error, is_read=is_read) is (repeats == "always" or (repeats == "reads" and is_read))


@pytest.mark.parametrize(("sqlstate", "times"), [("40P01", 2), ("0A000", 2), ("57P05", 2), ("57014", 1), ("08006", 1)])
async def test_a_write_that_never_ran_is_repeated_once(
    raising: DatabaseExecutor, out_of_band: psycopg.Connection, sqlstate: str, times: int
) -> None:
    before = calls(out_of_band)
    with pytest.raises(psycopg.Error):
        await raising.run(RAISE, {"sqlstate": sqlstate})
    assert calls(out_of_band) - before == times


async def test_a_read_is_repeated_after_a_poolers_loss(
    raising: DatabaseExecutor, out_of_band: psycopg.Connection
) -> None:
    before = calls(out_of_band)
    with pytest.raises(psycopg.Error):
        await raising.run(READ_AND_RAISE, {"sqlstate": "08006"})
    assert calls(out_of_band) - before == 2


async def test_a_schema_change_fails_no_request(server_url: str, alice: UserId) -> None:
    with own_database(server_url) as url, psycopg.connect(url, autocommit=True) as operator:
        upgrade(create_migration_engine(url))
        async with running(executor(url, connections=3, queue=100)) as database:
            tasks = PostgresTaskRepository(database)
            task, _ = await tasks.add(alice, TaskDraft("x"))
            for kind in ("varchar(10000)", "text"):
                await asyncio.gather(*(tasks.get(alice, task.id) for _ in range(30)))  # each connection prepares
                await asyncio.gather(*(tasks.toggle(alice, task.id) for _ in range(30)))
                operator.execute(f"alter table tasks alter column description type {kind}".encode())
                await asyncio.gather(*(tasks.get(alice, task.id) for _ in range(9)))
                await asyncio.gather(*(tasks.toggle(alice, task.id) for _ in range(9)))


async def test_an_idle_session_timeout_fails_no_write(
    database_url: str, alice: UserId, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = with_parameters(database_url, options="-c idle_session_timeout=20ms")
    monkeypatch.setattr(Connection, "is_usable", lambda _: True)  # as if the server hung up a moment later
    async with running(executor(url, prepare="off")) as database:
        before = await backend(database)
        with psycopg.connect(database_url) as observer:
            query = "select count(*) from pg_stat_activity where pid = %s"
            while observer.execute(query, [before]).fetchone() != (0,):
                observer.rollback()
                await asyncio.sleep(0.01)
        await PostgresTaskRepository(database).add(alice, TaskDraft("x"))


def calls(connection: psycopg.Connection) -> int:
    """Return how often `RAISE` has run. A sequence keeps its value when the transaction is undone."""
    row = connection.execute("select case when is_called then last_value else 0 end from raised_for_test").fetchone()
    return int(row[0]) if row else 0
