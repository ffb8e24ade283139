"""Prepared statements: used where a probe has shown that they are safe, and given up where they are seen to cross."""

import asyncio
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from adapters.postgres.connections.engine import create_postgres_engine, driver_connection
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.prepared import is_safe_to_prepare, may_prepare
from adapters.postgres.repository import PostgresTaskRepository
from domain.errors import StorageUnavailable
from domain.task import TaskDraft, UserId
from tests.pgbouncer import SERVER_CONNECTIONS
from tests.postgres.wire import Wire

untracked = pytest.mark.parametrize("pooled_url", ["untracked"], indirect=True)
tracked = pytest.mark.parametrize("pooled_url", ["tracked"], indirect=True)


def threshold(url: str) -> int | None:
    with create_postgres_engine(url, initialize=False).connect() as connection:
        return driver_connection(connection).prepare_threshold


def test_a_direct_connection_prepares_what_it_runs_often(database_url: str) -> None:
    assert threshold(database_url) == 5


@untracked
def test_behind_a_pooler_that_does_not_keep_track_nothing_is_prepared(pooled_url: str) -> None:
    assert threshold(pooled_url) is None


def test_behind_one_that_keeps_track_statements_are_prepared(wire: Wire) -> None:
    wire.renames = True
    assert threshold(wire.url) == 5
    assert any("pg_prepared_statements" in statement for statement in wire.statements)  # it took a pooler for one


def test_a_probe_that_fails_leaves_no_connection(database_url: str) -> None:
    connection = psycopg.connect(database_url)
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("select 1 / 0")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        is_safe_to_prepare(connection, 5)
    assert connection.closed


def on_each_server_connection(pooled_url: str, statement: LiteralString) -> list[list[tuple[Any, ...]]]:
    with psycopg.connect(pooled_url) as first, psycopg.connect(pooled_url) as second:
        cursors = [connection.execute(statement) for connection in (first, second)]  # neither lets go of its own
        pids = {connection.execute("select pg_backend_pid()").fetchone() for connection in (first, second)}
        assert len(pids) == SERVER_CONNECTIONS
        return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


@untracked
def test_what_others_have_left_prepared_is_no_error(pooled_url: str) -> None:
    on_each_server_connection(pooled_url, "prepare _pg3_0 as select 1")
    assert threshold(pooled_url) is None
    on_each_server_connection(pooled_url, "deallocate all")


@untracked
def test_the_probe_leaves_nothing_behind(pooled_url: str) -> None:
    for _ in range(4):
        threshold(pooled_url)
        assert on_each_server_connection(pooled_url, "select name from pg_prepared_statements") == [[], []]


@untracked
async def test_statements_that_cross_are_answered_as_unavailable_and_given_up(pooled_url: str, alice: UserId) -> None:
    engine = create_postgres_engine(pooled_url, prepared_statements="on", initialize=False)
    database = DatabaseExecutor(engine, connections=4, queue=200, deadline=5)
    database.start()
    tasks = PostgresTaskRepository(database)
    added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(4)]
    outcomes = [
        outcome
        for _ in range(20)
        for outcome in await asyncio.gather(*(tasks.get(alice, task.id) for task in added), return_exceptions=True)
    ]
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)} == {StorageUnavailable}
    assert not may_prepare(engine)
    assert await asyncio.gather(*(tasks.get(alice, task.id) for task in added * 10)) == added * 10
    await database.close()


@tracked
async def test_behind_a_pooler_that_keeps_track_statements_are_prepared_and_never_cross(
    pooled_url: str, alice: UserId
) -> None:
    database = DatabaseExecutor(
        create_postgres_engine(pooled_url, initialize=False), connections=4, queue=200, deadline=5
    )
    database.start()
    tasks = PostgresTaskRepository(database)
    added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(4)]
    assert await asyncio.gather(*(tasks.get(alice, task.id) for task in added * 40)) == added * 40
    await database.close()
    query: LiteralString = "select name from pg_prepared_statements where statement like 'SELECT tasks.%'"
    names = [name for rows in on_each_server_connection(pooled_url, query) for (name,) in rows]
    assert names
    assert not [name for name in names if name.startswith("_pg3_")]


async def test_one_crossing_makes_all_connections_give_up(database_url: str) -> None:
    database = DatabaseExecutor(
        create_postgres_engine(database_url, initialize=False), connections=1, queue=1, deadline=5
    )
    database.start()

    def prepared(connection: Connection) -> int | None:
        return driver_connection(connection).prepare_threshold

    def cross(connection: Connection) -> None:
        connection.execute(text("execute nothing_of_this_name"))

    assert await database.run(prepared) == 5
    try:
        await database.run(cross)
    except DBAPIError:
        assert await database.run(prepared) is None
    await database.close()


async def test_connections_that_are_not_trusted_are_left_and_nothing_is_prepared_on_the_next(database_url: str) -> None:
    engine = create_postgres_engine(database_url, initialize=False)
    database = DatabaseExecutor(engine, connections=1, queue=1, deadline=5)
    database.start()

    def state(connection: Connection) -> tuple[int, int | None]:
        driver = driver_connection(connection)
        return driver.info.backend_pid, driver.prepare_threshold

    before, prepares = await database.run(state)
    assert prepares
    database.distrust()
    after, prepares = await database.run(state)
    assert (after != before, prepares) == (True, None)
    await database.close()
