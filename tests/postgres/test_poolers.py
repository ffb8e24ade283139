"""Prepared statements: used if a probe shows that they are safe, given up once a pooler crosses them."""

import asyncio
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

from adapters.postgres.connections.prepared import is_safe_to_prepare
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageUnavailable
from domain.task import TaskDraft, UserId
from tests.executors import TEXT, backend, executor, running
from tests.pgbouncer import SERVER_CONNECTIONS
from tests.postgres.conftest import RAISE
from tests.postgres.wire import Wire, tapped

untracked = pytest.mark.parametrize("pooled_url", ["untracked"], indirect=True)
tracked = pytest.mark.parametrize("pooled_url", ["tracked"], indirect=True)
OFTEN = 10
"""More often than a statement has to run before it is prepared."""


async def is_safe(url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as driver:
        return await is_safe_to_prepare(driver, 5)


async def is_prepared(wire: Wire, **options: str) -> bool:
    """Whether a statement that runs often is parsed only once."""
    async with running(executor(wire.url, **options)) as database:  # type: ignore[arg-type]  # passed on
        await backend(database)
        wire.clear()
        for number in range(OFTEN):
            await database.run(TEXT, {"text": str(number)})
    return len(wire.statements) < OFTEN


async def test_a_direct_connection_prepares_what_it_runs_often(wire: Wire) -> None:
    assert await is_prepared(wire)


@pytest.mark.parametrize(("prepare", "expected"), [("on", True), ("off", False)])
async def test_the_setting_overrides_the_probe(wire: Wire, prepare: str, *, expected: bool) -> None:
    assert await is_prepared(wire, prepare=prepare) is expected


@untracked
async def test_nothing_is_prepared_behind_a_simple_pooler(pooled_url: str) -> None:
    assert not await is_safe(pooled_url)


async def test_statements_are_prepared_behind_a_tracking_pooler(wire: Wire) -> None:
    wire.renames = True
    assert await is_safe(wire.url)
    assert any("pg_prepared_statements" in statement for statement in wire.statements)  # the probe saw a pooler


async def test_an_unanswered_probe_is_cut(wire: Wire) -> None:
    wire.is_mute = True
    driver = await psycopg.AsyncConnection.connect(wire.url, autocommit=True)
    with pytest.raises(psycopg.OperationalError):
        await is_safe_to_prepare(driver, 0.05)
    await driver.close()


@pytest.fixture
def wire_of_pooler(pooled_url: str) -> Iterator[Wire]:
    with tapped(pooled_url) as wire:
        yield wire


def on_each_server_connection(pooled_url: str, statement: LiteralString) -> list[list[tuple[Any, ...]]]:
    with psycopg.connect(pooled_url) as first, psycopg.connect(pooled_url) as second:
        cursors = [connection.execute(statement) for connection in (first, second)]  # each keeps its server connection
        pids = {connection.execute("select pg_backend_pid()").fetchone() for connection in (first, second)}
        assert len(pids) == SERVER_CONNECTIONS
        return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


@untracked
async def test_statements_left_by_others_are_no_error(pooled_url: str) -> None:
    on_each_server_connection(pooled_url, "prepare _pg3_0 as select 1")
    assert not await is_safe(pooled_url)
    on_each_server_connection(pooled_url, "deallocate all")


@untracked
async def test_the_probe_leaves_nothing_behind(pooled_url: str) -> None:
    for _ in range(4):
        await is_safe(pooled_url)
        assert on_each_server_connection(pooled_url, "select name from pg_prepared_statements") == [[], []]


@untracked
async def test_crossed_statements_end_preparing(wire_of_pooler: Wire, alice: UserId) -> None:
    async with running(executor(wire_of_pooler.url, connections=4, queue=200, prepare="on")) as database:
        tasks = PostgresTaskRepository(database)
        added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(4)]
        outcomes = [
            outcome
            for _ in range(20)
            for outcome in await asyncio.gather(*(tasks.get(alice, task.id) for task in added), return_exceptions=True)
        ]
        assert {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)} <= {StorageUnavailable}
        wire_of_pooler.clear()
        assert await asyncio.gather(*(tasks.get(alice, task.id) for task in added * 10)) == added * 10
        assert len(wire_of_pooler.statements) == 40  # each is parsed anew


@tracked
async def test_statements_never_cross_behind_a_tracking_pooler(pooled_url: str, alice: UserId) -> None:
    async with running(executor(pooled_url, connections=4, queue=200)) as database:
        tasks = PostgresTaskRepository(database)
        added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(4)]
        assert await asyncio.gather(*(tasks.get(alice, task.id) for task in added * 40)) == added * 40
    query: LiteralString = "select name from pg_prepared_statements where statement like 'SELECT tasks.%'"
    names = [name for rows in on_each_server_connection(pooled_url, query) for (name,) in rows]
    assert names
    assert not [name for name in names if name.startswith("_pg3_")]


@pytest.mark.usefixtures("_raising_function")
@pytest.mark.parametrize("sqlstate", ["26000", "42P05"])
async def test_one_crossing_replaces_all_connections(wire: Wire, sqlstate: str) -> None:
    async with running(executor(wire.url, RAISE, connections=2)) as database:
        before = set(await asyncio.gather(backend(database), backend(database)))
        with pytest.raises(psycopg.Error):
            await database.run(RAISE, {"sqlstate": sqlstate})
        after = set(await asyncio.gather(backend(database), backend(database)))
        assert before.isdisjoint(after)
        wire.clear()
        for number in range(OFTEN):
            await database.run(TEXT, {"text": str(number)})
        assert len(wire.statements) == OFTEN


async def test_distrusted_connections_are_replaced_and_preparing_stops(wire: Wire) -> None:
    async with running(executor(wire.url)) as database:
        before = await backend(database)
        database.distrust()
        assert await backend(database) != before
        wire.clear()
        for number in range(OFTEN):
            await database.run(TEXT, {"text": str(number)})
        assert len(wire.statements) == OFTEN
