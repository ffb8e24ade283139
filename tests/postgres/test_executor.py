"""The database executor: it keeps its limits and deadlines, and loses no connection."""

import asyncio
import gc
import weakref
from collections.abc import Iterable
from typing import Any

import psutil
import psycopg
import pytest

from adapters.postgres.connections import connection, executor, pool
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageOverloaded, StorageUnavailable
from domain.task import TaskChanges, TaskDraft, UserId
from tests.databases import with_parameters
from tests.executors import SLEEP, TEXT, backend, running
from tests.executors import executor as executor_on
from tests.postgres.conftest import PASS, RAISE, Gate
from tests.postgres.wire import Wire

PATIENCE_SECONDS = 20
BEGIN = Statement("begin", is_read=False)
SET_READ_ONLY = Statement("set default_transaction_read_only = on", is_read=False)


async def test_one_connection_serves_all_statements(database: DatabaseExecutor) -> None:
    assert await backend(database) == await backend(database)


async def test_an_error_of_the_server_reaches_the_caller(raising: DatabaseExecutor) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await raising.run(RAISE, {"sqlstate": "23514"})
    assert await backend(raising)


async def test_a_failed_statement_keeps_its_sound_connection(raising: DatabaseExecutor) -> None:
    before = await backend(raising)
    for sqlstate in ("23514", "57014", "XX000", "08006"):
        with pytest.raises(psycopg.Error):
            await raising.run(RAISE, {"sqlstate": sqlstate})
    assert await backend(raising) == before


async def test_a_connection_in_a_transaction_is_replaced(database_url: str) -> None:
    async with running(executor_on(database_url, BEGIN)) as database:
        before = await backend(database)
        await database.run(BEGIN, {})
        assert await backend(database) != before


async def test_a_closed_connection_is_replaced(database: DatabaseExecutor, out_of_band: psycopg.Connection) -> None:
    lost = await backend(database)
    out_of_band.execute("select pg_terminate_backend(%s, 5000)", [lost])
    assert await backend(database) != lost


async def test_a_replaced_connection_leaves_no_descriptor(
    database: DatabaseExecutor, out_of_band: psycopg.Connection
) -> None:
    await backend(database)
    before = psutil.Process().num_fds()
    for _ in range(3):
        out_of_band.execute("select pg_terminate_backend(%s, 5000)", [await backend(database)])
    await backend(database)
    assert psutil.Process().num_fds() == before


async def test_a_connection_distrusted_in_use_is_replaced(database: DatabaseExecutor, gate: Gate) -> None:
    before = await backend(database)
    in_use = asyncio.ensure_future(database.run(PASS, gate.parameters))
    waiting = asyncio.ensure_future(backend(database))
    await gate.until_waiting()
    database.distrust()
    gate.open()
    await in_use
    assert await waiting != before


async def test_only_operations_beyond_the_queue_are_refused(database: DatabaseExecutor, gate: Gate) -> None:
    running_one = asyncio.ensure_future(database.run(PASS, gate.parameters))
    waiting = asyncio.ensure_future(backend(database))
    await gate.until_waiting()
    with pytest.raises(StorageOverloaded, match=r"^the queue for the database is full$"):
        await backend(database)
    gate.open()
    assert await running_one
    assert await waiting
    assert await backend(database)


@pytest.mark.parametrize(
    ("waited", "others_finish", "seconds"), [(1.0, 0, 1), (1.5, 0, 299), (1.5, 1, 1), (298.5, 0, 2), (300.5, 0, 1)]
)
async def test_retry_after_is_a_second_unless_nothing_finishes(
    database_url: str, gate: Gate, monkeypatch: pytest.MonkeyPatch, waited: float, others_finish: int, seconds: int
) -> None:
    async with running(executor_on(database_url, PASS, connections=2, queue=0, deadline=300)) as database:
        monkeypatch.setattr(executor, "monotonic", lambda: 1000.0)
        first = asyncio.ensure_future(database.run(PASS, gate.parameters))
        await gate.until_waiting()
        monkeypatch.setattr(executor, "monotonic", lambda: 1000.0 + waited)
        for _ in range(others_finish):
            await backend(database)
        second = asyncio.ensure_future(database.run(PASS, gate.parameters))
        await gate.until_waiting(2)
        with pytest.raises(StorageOverloaded) as refused:
            await backend(database)
        gate.open()
        await asyncio.gather(first, second)
    assert refused.value.seconds == seconds


async def test_an_operation_finished_at_acceptance_counts(
    database_url: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(executor_on(database_url, PASS, queue=0, deadline=300)) as database:
        monkeypatch.setattr(executor, "monotonic", lambda: 1000.0)
        await backend(database)
        running_one = asyncio.ensure_future(database.run(PASS, gate.parameters))
        await gate.until_waiting()
        monkeypatch.setattr(executor, "monotonic", lambda: 1001.5)
        with pytest.raises(StorageOverloaded) as refused:
            await backend(database)
        gate.open()
        await running_one
    assert refused.value.seconds == 1


async def test_a_statement_past_its_deadline_is_never_sent(wire: Wire, gate: Gate) -> None:
    async with running(executor_on(wire.url, PASS, deadline=0.5, prepare="off")) as database:
        running_one = asyncio.ensure_future(database.run(PASS, gate.parameters))
        await gate.until_waiting()
        with pytest.raises(StorageUnavailable, match="the deadline passed"):
            await database.run(TEXT, {"text": "x"})
        with pytest.raises(StorageUnavailable, match="the deadline passed"):
            await running_one
        await _until_served(database)
    assert len([text for text in wire.statements if "text" in text]) == 0


async def test_a_passed_deadline_stops_a_second_statement(wire: Wire) -> None:
    async with running(executor_on(wire.url, prepare="off")) as database:
        until = database.new_deadline() - 5
        await backend(database)
        with pytest.raises(StorageUnavailable, match="the deadline passed"):
            await database.run(TEXT, {"text": "x"}, until=until)
        assert len(wire.statements) == 1


async def test_a_cancelled_waiting_statement_is_never_sent(wire: Wire, gate: Gate) -> None:
    async with running(executor_on(wire.url, PASS, prepare="off")) as database:
        running_one = asyncio.ensure_future(database.run(PASS, gate.parameters))
        await gate.until_waiting()
        waiting = asyncio.ensure_future(database.run(TEXT, {"text": "x"}))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        gate.open()
        await running_one
        await _until_served(database)
    assert not [text for text in wire.statements if "text" in text]


async def test_a_read_without_a_caller_is_given_up(database_url: str, gate: Gate) -> None:
    read = Statement(PASS.text, is_read=True)
    async with running(executor_on(database_url, read, deadline=300)) as database:
        reading = asyncio.ensure_future(database.run(read, gate.parameters))
        await gate.until_waiting()
        reading.cancel()
        await asyncio.wait_for(_until_served(database), PATIENCE_SECONDS)
        await gate.until_waiting(0)


async def test_a_write_without_a_caller_still_finishes(
    database_url: str, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    async with running(executor_on(database_url, connections=1, deadline=300)) as database:
        tasks = PostgresTaskRepository(database)
        task, _ = await tasks.add(alice, TaskDraft("Old"))
        with out_of_band.transaction():
            out_of_band.execute("select 1 from tasks where id = %s for update", [task.id])
            writing = asyncio.ensure_future(tasks.update(alice, task.id, TaskChanges(title="New")))
            while out_of_band.execute("select 1 from pg_locks where not granted").fetchone() is None:  # noqa: ASYNC110 - the server announces nothing
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
        assert (await tasks.get(alice, task.id)).title == "New"


async def test_an_abandoned_write_never_happens_later(
    database: DatabaseExecutor, tasks: PostgresTaskRepository, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    task, _ = await tasks.add(alice, TaskDraft("Old"))
    with out_of_band.transaction():
        out_of_band.execute("select 1 from tasks where id = %s for update", [task.id])
        with pytest.raises(StorageUnavailable):
            await tasks.update(alice, task.id, TaskChanges(title="New"))
        await _until_served(database)
    assert await tasks.get(alice, task.id) == task


async def test_a_cancelled_statement_costs_its_connection(database: DatabaseExecutor) -> None:
    first = await backend(database)
    with pytest.raises(StorageUnavailable):
        await database.run(SLEEP, {})
    await _until_served(database)
    second = await backend(database)
    assert second != first
    assert await backend(database) == second


async def test_an_ended_statement_needs_no_cancel(database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CANCEL_SECONDS", 3600.0)
    with pytest.raises(StorageUnavailable):
        await database.run(SLEEP, {})
    await asyncio.wait_for(_until_served(database), PATIENCE_SECONDS)


@pytest.fixture
def held_cancels(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Cancels end only after this event is set."""
    over = asyncio.Event()

    async def cancel(*_: object, **__: object) -> None:
        await over.wait()

    monkeypatch.setattr(psycopg.AsyncConnection, "cancel_safe", cancel)
    return over


async def test_a_cancel_ends_before_the_next_statement(wire: Wire, gate: Gate, held_cancels: asyncio.Event) -> None:
    async with running(executor_on(wire.url, PASS, deadline=0.2, queue=10, prepare="off")) as database:
        before = await backend(database)
        with pytest.raises(StorageUnavailable):
            await database.run(PASS, gate.parameters)
        gate.open()  # the statement ends by itself during its cancel
        with pytest.raises(StorageUnavailable):
            await database.run(TEXT, {"text": "x"})
        assert not [text for text in wire.statements if "text" in text]
        held_cancels.set()
        await _until_served(database)
        assert await backend(database) != before


async def test_a_read_only_server_loses_all_connections(database_url: str, gate: Gate, alice: UserId) -> None:
    async with running(executor_on(database_url, PASS, SET_READ_ONLY, connections=2, queue=20)) as database:
        passing = [asyncio.ensure_future(database.run(PASS, gate.parameters)) for _ in range(2)]
        await gate.until_waiting(2)
        gate.open()
        await asyncio.gather(*passing)
        before = {await backend(database)}
        await asyncio.gather(*(database.run(SET_READ_ONLY, {}) for _ in range(2)))
        with pytest.raises(StorageUnavailable):
            await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
        after = {await backend(database)}
        assert before.isdisjoint(after)
        await asyncio.gather(*(PostgresTaskRepository(database).add(alice, TaskDraft("x")) for _ in range(4)))


async def test_a_read_only_server_costs_connections_every_second(
    database_url: str, alice: UserId, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = with_parameters(database_url, options="-c default_transaction_read_only=on")
    async with running(executor_on(url)) as database:
        used = []
        for now in (1000.0, 1000.0, 1000.5, 1000.9, 1001.0, 1001.5):
            monkeypatch.setattr(pool, "monotonic", lambda now=now: now)
            with pytest.raises(StorageUnavailable):
                await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
            used.append(await backend(database))
        first, second = used[0], used[4]
        assert used == [first] * 4 + [second] * 2
        assert first != second


async def test_one_locked_row_delays_no_other_task(
    database_url: str, out_of_band: psycopg.Connection, alice: UserId
) -> None:
    async with running(executor_on(database_url, connections=2, queue=20)) as database:
        tasks = PostgresTaskRepository(database)
        locked, free = [(await tasks.add(alice, TaskDraft(title)))[0] for title in ("locked", "free")]
        with out_of_band.transaction():
            out_of_band.execute("select 1 from tasks where id = %s for update", [locked.id])
            waiting = [asyncio.ensure_future(tasks.toggle(alice, locked.id)) for _ in range(6)]
            while out_of_band.execute("select 1 from pg_locks where not granted").fetchone() is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
            for _ in range(10):
                assert await tasks.get(alice, free.id) == free
            assert not any(toggle.done() for toggle in waiting)
        await asyncio.gather(*waiting)
        assert (await tasks.get(alice, locked.id)).completed is False


@pytest.mark.parametrize(("connections", "at_once"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3), (7, 3)])
async def test_one_resource_gets_half_of_the_connections(
    database_url: str, gate: Gate, connections: int, at_once: int
) -> None:
    async with running(executor_on(database_url, PASS, connections=connections, queue=20, deadline=20)) as database:
        waiting = [
            asyncio.ensure_future(database.run(PASS, gate.parameters, resource="one")) for _ in range(connections + 1)
        ]
        await gate.until_waiting(at_once)
        for other in range(connections - at_once):
            await backend(database, resource=other)
        await gate.until_waiting(at_once)  # no more arrive
        gate.open()
        await asyncio.gather(*waiting)


async def test_late_users_share_half_of_the_connections(
    database_url: str, out_of_band: psycopg.Connection, bob: UserId
) -> None:
    """As when one shard of a cluster is silent: each of its users has one locked row."""
    sick = [UserId(f"{bob}-{number}") for number in range(8)]
    async with running(executor_on(database_url, connections=4, queue=50, deadline=1)) as database:
        tasks = PostgresTaskRepository(database)
        locked = {owner: (await tasks.add(owner, TaskDraft("x")))[0] for owner in sick}
        sound, _ = await tasks.add(bob, TaskDraft("sound"))
        with out_of_band.transaction():
            ids = [task.id for task in locked.values()]
            out_of_band.execute("select 1 from tasks where id = any(%s) for update", [ids])
            for owners in (sick[:4], sick[4:]):
                late = await asyncio.gather(
                    *(tasks.toggle(owner, locked[owner].id) for owner in owners), return_exceptions=True
                )
                assert {type(answer) for answer in late} == {StorageUnavailable}
            await _until_served(database)
            again = [asyncio.ensure_future(tasks.toggle(owner, locked[owner].id)) for owner in sick]
            waiting = "select count(distinct pid) from pg_locks where not granted"
            while out_of_band.execute(waiting).fetchone() != (2,):  # noqa: ASYNC110 - the server announces nothing
                await asyncio.sleep(0)
            for _ in range(20):
                assert await tasks.get(bob, sound.id) == sound
            assert not any(toggle.done() for toggle in again)
            await asyncio.gather(*again, return_exceptions=True)
        await _until_served(database)
        for owner in sick:  # a user who succeeds may use all connections again
            await tasks.toggle(owner, locked[owner].id)
        assert not database._shares._late_users  # noqa: SLF001 - nothing public shows what is forgotten


async def test_an_abandoned_waiting_write_never_begins(
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
    assert await asyncio.gather(*(backend(database) for _ in range(2)))  # no place in the queue is lost


async def test_closing_closes_every_connection(database: DatabaseExecutor, out_of_band: psycopg.Connection) -> None:
    pid = await backend(database)
    await database.close()
    query = "select count(*) from pg_stat_activity where pid = %s"
    while out_of_band.execute(query, [pid]).fetchone() != (0,):  # noqa: ASYNC110 - the server announces nothing
        await asyncio.sleep(0.01)


async def test_an_unreachable_server_fails_at_once() -> None:
    nowhere = executor_on("postgresql://nobody@127.0.0.1:1/nowhere", connections=2, queue=20, deadline=300)
    async with running(nowhere) as database:
        for _ in range(3):
            outcomes = await asyncio.wait_for(
                asyncio.gather(*(backend(database) for _ in range(7)), return_exceptions=True), PATIENCE_SECONDS
            )
            assert {type(outcome) for outcome in outcomes} == {psycopg.OperationalError}


async def test_an_abandoned_login_frees_its_place(wire: Wire) -> None:
    async with running(executor_on(wire.url, queue=0, deadline=0.2)) as database:
        wire.delay_seconds = 0.3
        with pytest.raises(StorageUnavailable):
            await backend(database)
        wire.delay_seconds = 0
        await asyncio.wait_for(_until_served(database), PATIENCE_SECONDS)


async def test_an_unused_executor_can_be_closed(database_url: str) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    database = executor_on(database_url)
    await database.close()
    del database
    gc.collect()
    assert faults == []


class Resource:
    """A resource that an operation may use."""


async def test_a_finished_operation_is_forgotten(database_url: str) -> None:
    async with running(executor_on(database_url, connections=2, queue=20, deadline=300)) as database:
        resource = Resource()
        known = weakref.ref(resource)
        await asyncio.gather(*(backend(database, resource=resource, user=resource) for _ in range(5)))
        del resource
        await asyncio.gather(*(backend(database) for _ in range(5)))
        gc.collect()
        assert known() is None


async def test_closing_waits_at_most_twice_the_deadline(
    database_url: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []
    wait = asyncio.wait

    async def noted(tasks: Iterable["asyncio.Task[Any]"], *, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - asyncio's own
        waited.append(timeout)
        return await wait(tasks, timeout=timeout)

    database = executor_on(database_url, PASS, deadline=300)
    running_one = asyncio.ensure_future(database.run(PASS, gate.parameters))
    await gate.until_waiting()
    monkeypatch.setattr(asyncio, "wait", noted)
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    gate.open()
    await closing
    await running_one
    assert waited == [600]


async def test_accepted_operations_finish_before_closing(database_url: str, gate: Gate) -> None:
    database = executor_on(database_url, PASS)
    running_one = asyncio.ensure_future(database.run(PASS, gate.parameters))
    waiting = asyncio.ensure_future(backend(database))
    await gate.until_waiting()
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    gate.open()
    await closing
    assert await running_one
    assert await waiting


async def test_closing_gives_up_writes_without_callers(database_url: str, gate: Gate) -> None:
    database = executor_on(database_url, PASS, deadline=300)
    writing = asyncio.ensure_future(database.run(PASS, gate.parameters))
    await gate.until_waiting()
    writing.cancel()
    await asyncio.wait([writing])
    await asyncio.wait_for(database.close(), PATIENCE_SECONDS)
    await gate.until_waiting(0)


async def test_closing_ends_statements_that_hang(
    database_url: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancels: list[object] = []

    async def cancel(driver: object, **_: object) -> None:
        cancels.append(driver)

    monkeypatch.setattr(psycopg.AsyncConnection, "cancel_safe", cancel)
    monkeypatch.setattr(connection, "CANCEL_SECONDS", 3600.0)
    database = executor_on(database_url, PASS, deadline=0.2)
    with pytest.raises(StorageUnavailable):
        await database.run(PASS, gate.parameters)
    await asyncio.wait_for(database.close(), PATIENCE_SECONDS)
    assert len(cancels) == 1


async def _until_served(database: DatabaseExecutor) -> None:
    """Return once the connection is free again."""
    while True:
        try:
            await backend(database)
        except (StorageOverloaded, StorageUnavailable):
            await asyncio.sleep(0.01)
        else:
            return
