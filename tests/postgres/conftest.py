"""The executor and the repository on a real server."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from sqlalchemy import Connection, text

from adapters.postgres.connections.engine import create_postgres_engine, driver_connection
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import lift_guard
from adapters.postgres.repository import PostgresTaskRepository
from tests.postgres.wire import Wire, tapped


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    with tapped(database_url) as wire:
        yield wire


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[DatabaseExecutor]:
    """One connection and one waiting place, so that a lost worker or a lost place would show."""
    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=1, deadline=1)
    database.start()
    yield database
    await database.close()


@pytest.fixture
def tasks(database: DatabaseExecutor) -> PostgresTaskRepository:
    return PostgresTaskRepository(database)


@pytest.fixture
async def wire_tasks(wire: Wire) -> AsyncIterator[PostgresTaskRepository]:
    """Over one connection, on which nothing but their statements is sent."""
    engine = create_postgres_engine(wire.url, prepared_statements="off", initialize=False)
    database = DatabaseExecutor(engine, connections=1, queue=10, deadline=5)
    database.start()
    yield PostgresTaskRepository(database)
    await database.close()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The collector does not come."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def fail(sqlstate: str) -> Callable[[Connection], None]:
    """An operation that the server fails, so."""
    statement = text(f"do $$ begin raise exception 'planted-row' using errcode = '{sqlstate}'; end $$")

    def operation(connection: Connection) -> None:
        lift_guard(driver_connection(connection))  # which lets no code pass
        connection.execute(statement)

    return operation
