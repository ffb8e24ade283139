"""The database executor: bounded, on time, and never short of a worker."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.util.concurrency import await_

from adapters.postgres.connections import executor, worker
from adapters.postgres.connections.engine import create_postgres_engine
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageOverloaded, StorageUnavailable
from domain.task import TaskChanges, TaskDraft, UserId
from tests.postgres.wire import Wire

PATIENCE_SECONDS = 20
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
    with pytest.raises(StorageOverloaded, match=r"^the queue for the database is full$"):
        await database.run(backend)
    release.set()
    assert await running
    assert await waiting
    assert await database.run(backend)


@pytest.mark.parametrize(
    ("waited", "others_finish", "told"), [(1.0, 0, 1), (1.5, 0, 299), (1.5, 1, 1), (298.5, 0, 2), (300.5, 0, 1)]
)
async def test_who_is_refused_is_told_to_wait_a_second_or_where_nothing_finishes_until_something_is_given_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch, waited: float, others_finish: int, told: int
) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=2, queue=0, deadline=300)
    database.start()
    release = asyncio.Event()
    monkeypatch.setattr(executor, "monotonic", lambda: 1000.0)
    first = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    await asyncio.sleep(0)  # it has been accepted
    monkeypatch.setattr(executor, "monotonic", lambda: 1000.0 + waited)
    for _ in range(others_finish):
        await database.run(backend)
    second = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    await asyncio.sleep(0)
    with pytest.raises(StorageOverloaded) as refused:
        await database.run(backend)
    release.set()
    await asyncio.gather(first, second)
    await database.close()
    assert refused.value.seconds == told


async def test_what_finished_when_the_first_was_accepted_may_have_finished_since(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=0, deadline=300)
    database.start()
    release = asyncio.Event()
    monkeypatch.setattr(executor, "monotonic", lambda: 1000.0)
    await database.run(backend)
    running = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    await asyncio.sleep(0)  # it has been accepted
    monkeypatch.setattr(executor, "monotonic", lambda: 1001.5)
    with pytest.raises(StorageOverloaded) as refused:
        await database.run(backend)
    release.set()
    await running
    await database.close()
    assert refused.value.seconds == 1


async def test_an_operation_that_closes_its_connection_costs_no_worker(database: DatabaseExecutor) -> None:
    def fail(connection: Connection) -> None:
        connection.close()
        raise LookupError

    with pytest.raises(LookupError):
        await database.run(fail)
    assert await database.run(backend)


async def test_a_connection_is_left_without_a_word_that_would_be_waited_for(wire: Wire) -> None:
    engine = create_postgres_engine(wire.url, prepared_statements="off", initialize=False)
    database = DatabaseExecutor(engine, connections=1, queue=0, deadline=5)
    database.start()

    def fail(connection: Connection) -> None:
        connection.execute(text("begin"))
        raise LookupError

    with pytest.raises(LookupError):
        await database.run(fail)
    await database.close()
    assert wire.statements == ["begin"]


@pytest.mark.usefixtures("uncollected")
async def test_a_connection_that_is_left_is_forgotten_at_once(
    database: DatabaseExecutor, out_of_band: psycopg.Connection
) -> None:
    used: list[weakref.ref[Connection]] = []

    def use(connection: Connection) -> int:
        used.append(weakref.ref(connection))
        return backend(connection)

    out_of_band.execute("select pg_terminate_backend(%s, 5000)", [await database.run(use)])
    await database.run(use)
    assert [connection() is None for connection in used] == [True, False]


async def test_an_operation_that_waits_too_long_for_its_turn_never_begins(database: DatabaseExecutor) -> None:
    release = asyncio.Event()
    begun: list[str] = []
    running = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    waiting = asyncio.ensure_future(database.run(lambda _: begun.append("waiting")))
    for late in (running, waiting):
        with pytest.raises(StorageUnavailable, match="the deadline passed"):
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
    task, _ = await tasks.add(alice, TaskDraft("Old"))
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
    second = await database.run(backend)
    assert second != first
    assert await database.run(backend) == second


async def test_once_a_statement_is_cancelled_nobody_waits_for_its_cancel_any_longer(
    database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CANCEL_SECONDS", 3600.0)
    with pytest.raises(StorageUnavailable):
        await database.run(lambda connection: connection.execute(text("select pg_sleep(60)")))
    await asyncio.wait_for(_until_served(database), PATIENCE_SECONDS)


async def test_a_cancel_that_is_under_way_is_over_before_anything_else_begins(
    database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    others, release = threading.Event(), asyncio.Event()

    def cancel(*_: object, **__: object) -> None:
        others.wait(0.2)  # there are none
        events.append("cancelled")

    def other(_: Connection) -> None:
        events.append("other")
        others.set()

    monkeypatch.setattr(psycopg.Connection, "cancel_safe", cancel)
    with pytest.raises(StorageUnavailable):
        await database.run(lambda _: await_(release.wait()))
    release.set()
    await database.run(other)
    assert events == ["cancelled", "other"]


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

    async def on_both(statement: TextClause) -> set[int]:
        barrier = asyncio.Barrier(2)

        def execute(connection: Connection) -> int:
            await_(barrier.wait())
            connection.execute(statement)
            return backend(connection)

        return set(await asyncio.gather(*(database.run(execute) for _ in range(2))))

    before = await on_both(text("set default_transaction_read_only = on"))
    with pytest.raises(StorageUnavailable):
        await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
    after = await on_both(BACKEND)
    assert before.isdisjoint(after)
    assert await on_both(BACKEND) == after
    await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
    await database.close()


async def test_one_locked_row_does_not_hold_up_the_others(
    database_url: str, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=2, queue=20, deadline=5)
    database.start()
    tasks = PostgresTaskRepository(database)
    locked, free = [(await tasks.add(alice, TaskDraft(title)))[0] for title in ("locked", "free")]
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


@pytest.mark.parametrize(("connections", "at_once"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3), (7, 3)])
async def test_half_of_the_connections_at_most_serve_one_thing_at_once(
    database_url: str, connections: int, at_once: int
) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=connections, queue=20, deadline=20)
    database.start()
    barrier, begun, release = asyncio.Barrier(connections), asyncio.Semaphore(0), asyncio.Event()

    def alike(_: Connection) -> None:
        begun.release()
        await_(release.wait())

    await asyncio.gather(*(database.run(lambda _: await_(barrier.wait())) for _ in range(connections)))
    waiting = [asyncio.ensure_future(database.run(alike, about="one")) for _ in range(connections + 1)]
    for other in range(connections - at_once):
        await database.run(backend, about=other)
    for _ in range(at_once):
        await begun.acquire()
    assert begun.locked()  # no more have begun
    release.set()
    await asyncio.gather(*waiting)
    await database.close()


async def test_what_waits_behind_a_locked_row_and_is_given_up_never_begins(
    database: DatabaseExecutor, tasks: PostgresTaskRepository, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    task, _ = await tasks.add(alice, TaskDraft("Old"))
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


async def test_where_nothing_can_be_reached_that_is_told_at_once() -> None:
    nowhere = create_postgres_engine("postgresql://nobody@127.0.0.1:1/nowhere", initialize=False)
    database = DatabaseExecutor(nowhere, connections=2, queue=20, deadline=300)
    database.start()
    for _ in range(3):
        with pytest.raises(OperationalError):
            await asyncio.wait_for(database.run(backend), PATIENCE_SECONDS)
    await database.close()


async def test_who_is_given_up_while_being_connected_leaves_the_place_to_others(wire: Wire) -> None:
    engine = create_postgres_engine(wire.url, initialize=False)
    database = DatabaseExecutor(engine, connections=1, queue=0, deadline=0.2)
    database.start()
    wire.delay_seconds = 0.3
    with pytest.raises(StorageUnavailable):
        await database.run(backend)
    wire.delay_seconds = 0
    await asyncio.wait_for(_until_served(database), PATIENCE_SECONDS)
    await database.close()


async def test_what_was_never_used_can_be_closed(database_url: str) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=1, deadline=5)
    database.start()
    await database.close()
    del database
    gc.collect()
    assert faults == []


class Thing:
    """What an operation may be about."""


async def test_what_is_over_is_forgotten(database_url: str) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=2, queue=20, deadline=300)
    database.start()
    thing = Thing()
    known = weakref.ref(thing)
    await asyncio.gather(*(database.run(backend, about=thing) for _ in range(5)))
    del thing
    barrier = asyncio.Barrier(2)  # so that each connection has had something else to do since
    await asyncio.gather(*(database.run(lambda _: await_(barrier.wait())) for _ in range(2)))
    gc.collect()
    assert known() is None
    await database.close()


async def test_closing_takes_twice_the_deadline_at_most(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    wait = asyncio.wait

    async def noted(tasks: Iterable["asyncio.Task[Any]"], *, timeout: float) -> Any:  # noqa: ASYNC109 - asyncio's own
        waited.append(timeout)
        return await wait(tasks, timeout=timeout)

    monkeypatch.setattr(asyncio, "wait", noted)
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=1, deadline=300)
    database.start()
    await database.close()
    assert waited == [600]


async def test_at_closing_what_runs_may_finish(database_url: str) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=1, deadline=5)
    database.start()
    release = asyncio.Event()
    running = asyncio.ensure_future(database.run(lambda _: await_(release.wait())))
    waiting = asyncio.ensure_future(database.run(backend))
    await asyncio.sleep(0)  # both have been accepted
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    release.set()
    await closing
    assert await running
    assert await waiting


async def test_at_closing_what_nobody_waits_for_any_more_is_cancelled(database_url: str) -> None:
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=1, deadline=300)
    database.start()
    begun = asyncio.Event()

    def sleep(connection: Connection) -> None:
        begun.set()
        connection.execute(text("select pg_sleep(600)"))

    running = asyncio.ensure_future(database.run(sleep))
    await begun.wait()
    running.cancel()
    await asyncio.sleep(0)  # its caller has gone
    await asyncio.wait_for(database.close(), PATIENCE_SECONDS)


async def test_at_closing_what_waits_to_be_repeated_takes_nobody_else_with_it(wire: Wire) -> None:
    engine = create_postgres_engine(wire.url, prepared_statements="off", initialize=False)
    database = DatabaseExecutor(engine, connections=1, queue=1, deadline=300)
    database.start()
    begun, release = asyncio.Event(), asyncio.Event()

    def fail(_: Connection) -> None:
        raise LookupError("x")

    def other(connection: Connection) -> int:
        begun.set()
        await_(release.wait())
        return backend(connection)

    repeated = asyncio.ensure_future(database.run(fail, may_repeat=lambda _: True))
    running = asyncio.ensure_future(database.run(other))
    await begun.wait()
    connected = len(wire.clients)
    repeated.cancel()
    await asyncio.sleep(0)  # its caller has gone
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    release.set()
    assert await running
    await closing
    assert len(wire.clients) == connected  # a cancel comes on a connection of its own


async def test_at_closing_what_does_not_end_is_ended_and_cancelled_but_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancels: list[object] = []
    monkeypatch.setattr(psycopg.Connection, "cancel_safe", lambda connection, **_: cancels.append(connection))
    monkeypatch.setattr(worker, "CANCEL_SECONDS", 3600.0)
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=1, deadline=0.2)
    database.start()
    ended: list[str] = []

    def stuck(_: Connection) -> None:
        try:
            await_(asyncio.Event().wait())
        finally:
            ended.append("stuck")

    with pytest.raises(StorageUnavailable):
        await database.run(stuck)
    await database.close()
    assert ended == ["stuck"]
    assert len(cancels) == 1


async def _until_served(database: DatabaseExecutor) -> None:
    """Until the one worker is free again."""
    while True:
        try:
            await database.run(backend)
        except (StorageOverloaded, StorageUnavailable):
            await asyncio.sleep(0.01)
        else:
            return
