"""The executor and the repository on a real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.repository import PostgresTaskRepository
from tests.executors import executor, running
from tests.postgres.wire import Wire, tapped

PASS = Statement("select pg_advisory_xact_lock_shared(%(gate)s)", is_read=False)
RAISE = Statement("select raise_for_test(%(sqlstate)s)", is_read=False)
READ_AND_RAISE = Statement("select raise_for_test(%(sqlstate)s) -- a read", is_read=True)


class Gate:
    """Statements `PASS` wait on the server until the gate is opened."""

    def __init__(self, keeper: psycopg.Connection) -> None:
        self._keeper = keeper
        self.number = uuid4().int % 2**31
        self._keeper.execute("select pg_advisory_lock(%s)", [self.number])

    @property
    def parameters(self) -> dict[str, object]:
        return {"gate": self.number}

    async def until_waiting(self, count: int = 1) -> None:
        """Return once `count` statements wait at the gate. The server announces nothing, so this polls."""
        query = "select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted"
        while self._keeper.execute(query, [self.number]).fetchone() != (count,):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)

    def open(self) -> None:
        self._keeper.execute("select pg_advisory_unlock(%s)", [self.number])


@pytest.fixture
def gate(database_url: str) -> Iterator[Gate]:
    with psycopg.connect(database_url, autocommit=True) as keeper:
        yield Gate(keeper)


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    with tapped(database_url) as wire:
        yield wire


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[DatabaseExecutor]:
    """An executor with one connection and one place in the queue, so that a lost place would show."""
    async with running(executor(database_url, PASS, RAISE, READ_AND_RAISE, deadline=1)) as database:
        yield database


@pytest.fixture
def tasks(database: DatabaseExecutor) -> PostgresTaskRepository:
    return PostgresTaskRepository(database)


@pytest.fixture
async def wire_tasks(wire: Wire) -> AsyncIterator[PostgresTaskRepository]:
    """A repository on one connection that sends nothing but its statements."""
    async with running(executor(wire.url, queue=10, prepare="off")) as database:
        yield PostgresTaskRepository(database)


@pytest.fixture(scope="session")
def _raising_function(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "create sequence raised_for_test;"
            " create function raise_for_test(code text) returns void language plpgsql as"
            " $$ begin perform nextval('raised_for_test'); raise exception 'planted-row' using errcode = code; end $$"
        )


@pytest.fixture
def raising(_raising_function: None, database: DatabaseExecutor) -> DatabaseExecutor:
    """An executor on which `RAISE` fails with an SQLSTATE of the test's choice."""
    return database
