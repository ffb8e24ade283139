"""The database executor: bounded, on time, and never short of a worker."""

import asyncio
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.util.concurrency import await_

from adapters.postgres import executor
from adapters.postgres.engine import create_postgres_engine
from adapters.postgres.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageOverloaded, StorageUnavailable
from domain.task import TaskChanges, TaskDraft, UserId

BACKEND = text("select pg_backend_pid()")


def backend(connection: Connection) -> int:
    return int(connection.execute(BACKEND).scalar_one())


async def test_one_connection_serves_all(database: DatabaseExecutor) -> None:
    assert await database.run(backend) == await database.run(backend)


async def test_what_an_operation_raises_reaches_the_caller(database: DatabaseExecutor) -> None:
    def fail(_: Connection) -> None:
        raise LookupError("x")

    with pytest.raises(LookupError):
        await database.run(fail)
    assert await database.run(backend)


async def test_a_connection_that_the_server_has_closed_is_replaced_unnoticed(
    database: DatabaseExecutor, out_of_band: psycopg.Connection
) -> None:
    lost = await database.run(backend)
    out_of_band.execute("select pg_terminate_backend(%s, 5000)", [lost])
    assert await database.run(backend) != lost


async def test_more_than_the_queue_holds_is_refused_at_once_and_the_rest_served(database: DatabaseExecutor) -> None:
    release = asyncio.Event()
    running = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    waiting = asyncio.ensure_future(database.run(backend))
    await asyncio.sleep(0)  # both have been accepted
    with pytest.raises(StorageOverloaded):
        await database.run(backend)
    release.set()
    assert await running
    assert await waiting
    assert await database.run(backend)


@pytest.mark.parametrize(
    ("stuck_seconds", "finish", "least", "most"), [(0, 0, 200, 300), (0, 1, 1, 1), (3600, 0, 1, 1)]
)
async def test_who_is_refused_is_told_to_wait_a_second_or_where_nothing_finishes_until_something_is_given_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch, stuck_seconds: float, finish: int, least: int, most: int
) -> None:
    monkeypatch.setattr(executor, "STUCK_SECONDS", stuck_seconds)
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=2, queue=0, deadline=300)
    database.start()
    release = asyncio.Event()
    first = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    await asyncio.sleep(0)  # it has been accepted
    for _ in range(finish):
        await database.run(backend)
    second = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    await asyncio.sleep(0)
    with pytest.raises(StorageOverloaded) as refused:
        await database.run(backend)
    release.set()
    await asyncio.gather(first, second)
    await database.close()
    assert least <= refused.value.seconds <= most


async def test_an_operation_that_waits_too_long_for_its_turn_never_begins(database: DatabaseExecutor) -> None:
    release = asyncio.Event()
    begun: list[str] = []
    running = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    waiting = asyncio.ensure_future(database.run(lambda _: begun.append("waiting")))
    for late in (running, waiting):
        with pytest.raises(StorageUnavailable):
            await late
    release.set()
    await _until_served(database)
    assert begun == []


async def test_an_operation_whose_caller_has_gone_never_begins(database: DatabaseExecutor) -> None:
    release = asyncio.Event()
    begun: list[str] = []
    running = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    waiting = asyncio.ensure_future(database.run(lambda _: begun.append("waiting")))
    await asyncio.sleep(0)
    waiting.cancel()
    release.set()
    await running
    await _until_served(database)
    assert begun == []


async def test_a_write_that_is_given_up_does_not_happen_later(
    database: DatabaseExecutor, tasks: PostgresTaskRepository, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    task = await tasks.add(alice, TaskDraft("Old"))
    with out_of_band.transaction():
        out_of_band.execute("select 1 from tasks where id = %s for update", [task.id])
        with pytest.raises(StorageUnavailable):
            await tasks.update(alice, task.id, TaskChanges(title="New"))
        await _until_served(database)
    assert await tasks.get(alice, task.id) == task


async def test_a_cancelled_statement_costs_its_connection_so_that_the_cancel_hits_no_other(
    database: DatabaseExecutor,
) -> None:
    first = await database.run(backend)
    with pytest.raises(StorageUnavailable):
        await database.run(lambda connection: connection.execute(text("select pg_sleep(60)")))
    await _until_served(database)
    assert await database.run(backend) != first


async def test_an_operation_that_ends_late_by_itself_costs_its_connection_too(database: DatabaseExecutor) -> None:
    first = await database.run(backend)
    release = asyncio.Event()

    def late(connection: Connection) -> int:
        await_(release.wait())
        return backend(connection)

    with pytest.raises(StorageUnavailable):
        await database.run(late)
    release.set()  # while the cancel is under way
    await _until_served(database)
    assert await database.run(backend) != first


async def test_a_server_that_takes_no_writes_any_more_is_left_with_all_connections(
    database_url: str, alice: UserId
) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=2, queue=20, deadline=20)
    database.start()

    async def on_both(statement: TextClause) -> set[Any]:
        barrier = asyncio.Barrier(2)

        def execute(connection: Connection) -> Any:
            await_(barrier.wait())
            return connection.execute(statement).scalar_one()

        return set(await asyncio.gather(*(database.run(execute) for _ in range(2))))

    demoted = text("select pg_backend_pid() from set_config('default_transaction_read_only', 'on', false)")
    before = await on_both(demoted)
    with pytest.raises(StorageUnavailable):
        await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
    assert before.isdisjoint(await on_both(BACKEND))
    await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
    await database.close()


async def test_one_locked_row_does_not_hold_up_the_others(
    database_url: str, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=2, queue=20, deadline=5)
    database.start()
    tasks = PostgresTaskRepository(database)
    locked, free = [await tasks.add(alice, TaskDraft(title)) for title in ("locked", "free")]
    with out_of_band.transaction():
        out_of_band.execute("select 1 from tasks where id = %s for update", [locked.id])
        waiting = [asyncio.ensure_future(tasks.toggle(alice, locked.id)) for _ in range(6)]
        while out_of_band.execute("select 1 from pg_locks where not granted").fetchone() is None:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0)
        for _ in range(10):
            assert await tasks.get(alice, free.id) == free
        assert not any(toggle.done() for toggle in waiting)
    await asyncio.gather(*waiting)
    assert (await tasks.get(alice, locked.id)).completed is False
    await database.close()


async def test_what_waits_behind_a_locked_row_and_is_given_up_never_begins(
    database: DatabaseExecutor, tasks: PostgresTaskRepository, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    task = await tasks.add(alice, TaskDraft("Old"))
    with out_of_band.transaction():
        out_of_band.execute("select 1 from tasks where id = %s for update", [task.id])
        outcomes = await asyncio.gather(
            *(tasks.update(alice, task.id, TaskChanges(title="New")) for _ in range(2)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 2
        await _until_served(database)
    assert await tasks.get(alice, task.id) == task
    assert await asyncio.gather(*(database.run(backend) for _ in range(2)))  # no place in the queue is lost


async def test_after_closing_nothing_is_connected(database: DatabaseExecutor, out_of_band: psycopg.Connection) -> None:
    pid = await database.run(backend)
    await database.close()
    query = "select count(*) from pg_stat_activity where pid = %s"
    while out_of_band.execute(query, [pid]).fetchone() != (0,):  # noqa: ASYNC110 - the server tells no event
        await asyncio.sleep(0.01)


async def _until_served(database: DatabaseExecutor) -> None:
    """Until the one worker is free again."""
    while True:
        try:
            await database.run(backend)
        except (StorageOverloaded, StorageUnavailable):
            await asyncio.sleep(0.01)
        else:
            return
