"""Operations while the process has no file descriptor left."""

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from adapters.postgres.connections import connection
from adapters.postgres.connections.connection import Connection
from adapters.postgres.connections.executor import DatabaseExecutor
from domain.errors import StorageUnavailable
from tests.executors import SLEEP, backend, executor, running

FAULT = OSError(errno.EMFILE, "Too many open files")


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as lowest_free:  # noqa: PTH123 - the test needs its number
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free.fileno(), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_the_store_is_unavailable(database_url: str) -> None:
    async with running(executor(database_url, queue=0)) as database:
        with no_descriptor_left():
            for _ in range(2):
                with pytest.raises((StorageUnavailable, psycopg.OperationalError)):
                    await backend(database)
        assert await backend(database)


@pytest.mark.parametrize("fault", [FAULT, RuntimeError("can't start new thread")], ids=repr)
async def test_our_own_faults_make_the_store_unavailable(fault: Exception) -> None:
    async def fail(**_: bool) -> Connection:
        raise fault

    database = DatabaseExecutor(fail, connections=1, queue=0, deadline=5)
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match=f"^no connection can be opened: {type(fault).__name__}$"):
            await backend(database)
    await database.close()


async def test_a_half_opened_connection_is_closed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def fail(descriptor: int) -> int:
        opened.append(descriptor)
        raise FAULT

    async with running(executor(database_url, queue=0, prepare="off")) as database:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(os, "dup", fail)
            with pytest.raises(StorageUnavailable):
                await backend(database)
        for descriptor in opened:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)
        assert opened
        assert await backend(database)


async def test_a_statement_that_resists_cancelling_is_cut(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cancels: list[dict[str, object]] = []

    async def cancel(_: object, **options: object) -> None:
        cancels.append(options)
        raise FAULT

    monkeypatch.setattr(psycopg.AsyncConnection, "cancel_safe", cancel)
    monkeypatch.setattr(connection, "CANCEL_SECONDS", 0.01)
    async with running(executor(database_url, deadline=0.2, queue=10)) as database:
        before = await backend(database)
        with pytest.raises(StorageUnavailable):
            await database.run(SLEEP, {})
        assert await backend(database) != before
    assert cancels == [{"timeout": 0.01}] * 2


async def test_a_closed_connection_can_be_cut(database_url: str) -> None:
    driver = await psycopg.AsyncConnection.connect(database_url)
    subject = Connection(driver)
    await driver.close()
    subject.cut()
    await subject.close()


async def test_a_cut_connection_reads_nothing_more(database_url: str) -> None:
    driver = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    subject = Connection(driver)
    asleep = asyncio.ensure_future(subject.execute(SLEEP, {}))
    await asyncio.sleep(0)
    subject.cut()
    with pytest.raises(psycopg.OperationalError):
        await asleep
    assert not subject.is_usable()
    await subject.close()
