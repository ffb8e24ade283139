"""What becomes of operations when the process itself has no descriptor or thread left."""

import asyncio
import errno
import socket
import weakref
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Connection, Engine

from adapters.postgres.connections import worker
from adapters.postgres.connections.engine import create_postgres_engine
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.threads import on_thread
from adapters.postgres.connections.worker import cancel_then_cut
from domain.errors import StorageUnavailable

PATIENCE_SECONDS = 20
FAULTS = [OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")]
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=repr)


class Failing:
    """In place of what the driver and the engine do: neither can be had."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault
        self.cancels: list[dict[str, object]] = []

    def cancel_safe(self, **options: object) -> None:
        self.cancels.append(options)
        raise self._fault

    def connect(self) -> Connection:
        raise self._fault


@each_fault
async def test_a_statement_that_cannot_be_cancelled_is_cut(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CANCEL_SECONDS", 0.01)
    driver = Failing(fault)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        await cancel_then_cut(cast("psycopg.Connection[Any]", driver), ours, asyncio.Event())
        theirs.settimeout(5)
        assert theirs.recv(1) == b""
    assert driver.cancels == [{"timeout": 0.01}] * 2


@each_fault
async def test_a_statement_that_ends_meanwhile_is_not_cut(fault: Exception) -> None:
    driver = Failing(fault)
    has_ended = asyncio.Event()
    has_ended.set()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        await cancel_then_cut(cast("psycopg.Connection[Any]", driver), ours, has_ended)
        assert theirs.send(b"x") == ours.send(b"x") == 1
    assert driver.cancels == [{"timeout": 1.0}]


@each_fault
async def test_a_connection_without_what_stopping_it_takes_is_none(
    database_url: str, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[psycopg.Connection[Any]] = []

    def cannot_be_had(connection: "psycopg.Connection[Any]") -> socket.socket:
        opened.append(connection)
        raise fault

    database = DatabaseExecutor(create_postgres_engine(database_url), connections=1, queue=0, deadline=5)
    database.start()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(worker, "duplicate_socket", cannot_be_had)
        with pytest.raises(StorageUnavailable):
            await database.run(lambda _: None)
    assert [connection.closed for connection in opened] == [True]
    await database.run(lambda _: None)
    await database.close()


@each_fault
async def test_a_connection_that_cannot_be_opened_is_an_unavailable_store(fault: Exception) -> None:
    database = DatabaseExecutor(cast("Engine", Failing(fault)), connections=1, queue=0, deadline=5)
    database.start()
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match=f"^no connection can be opened: {type(fault).__name__}$"):
            await database.run(lambda _: None)
    await database.close()


@pytest.mark.usefixtures("uncollected")
async def test_what_has_failed_on_a_thread_is_let_go_at_once() -> None:
    held: list[weakref.ref[set[object]]] = []

    def fail() -> None:
        resource: set[object] = set()
        held.append(weakref.ref(resource))
        raise OSError

    async def try_to() -> None:
        try:
            await on_thread(fail)
        except OSError:
            return

    await try_to()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while held[0]() is not None:  # noqa: ASYNC110 - the thread lets go of it as it ends
            await asyncio.sleep(0.01)
