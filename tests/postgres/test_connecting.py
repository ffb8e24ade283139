"""Connections that are hard to come by: a server that takes logins and then is silent, or has no room."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from adapters.postgres.connections.engine import create_postgres_engine, libpq_parameters
from adapters.postgres.connections.executor import DatabaseExecutor
from domain.errors import StorageUnavailable
from tests.databases import with_parameters
from tests.postgres.wire import tapped

PATIENCE_SECONDS = 20


def backend(connection: Connection) -> int:
    return int(connection.execute(text("select pg_backend_pid()")).scalar_one())


@asynccontextmanager
async def crew(url: str, *, connections: int, deadline: float) -> AsyncIterator[DatabaseExecutor]:
    engine = create_postgres_engine(url, connect_timeout=2, initialize=False)
    database = DatabaseExecutor(engine, connections=connections, queue=100, deadline=deadline)
    database.start()
    yield database
    await database.close()


def test_a_silent_network_is_noticed_in_time_or_in_the_time_that_the_url_says() -> None:
    ours = libpq_parameters("postgresql://user@host/tasks")
    theirs = libpq_parameters("postgresql://user@host/tasks?keepalives_idle=7&tcp_user_timeout=7000")
    assert ours["keepalives_idle"] + ours["keepalives_interval"] * ours["keepalives_count"] == 45
    assert ours["tcp_user_timeout"] == 10_000
    assert (theirs["keepalives_idle"], theirs["tcp_user_timeout"]) == ("7", "7000")


def test_the_systems_authorities_are_those_that_python_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    trusted = ssl.get_default_verify_paths()
    create_postgres_engine("postgresql://user@host/tasks?sslrootcert=system")
    named = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
    assert named == [trusted.cafile, trusted.capath]


async def test_a_server_that_is_silent_after_the_login_costs_no_worker(database_url: str) -> None:
    with tapped(database_url) as wire:
        wire.is_mute = True
        async with crew(wire.url, connections=2, deadline=0.2) as database:
            for _ in range(3):
                with pytest.raises(StorageUnavailable):
                    await database.run(backend)
            wire.is_mute = False
            assert await asyncio.wait_for(_answered(database, backend), PATIENCE_SECONDS)


async def test_a_server_that_falls_silent_costs_no_worker(database_url: str) -> None:
    with tapped(database_url) as wire:
        async with crew(wire.url, connections=1, deadline=0.2) as database:
            assert await _answered(database, backend)
            wire.is_mute = True
            with pytest.raises(StorageUnavailable):
                await database.run(backend)
            wire.is_mute = False
            assert await asyncio.wait_for(_answered(database, backend), PATIENCE_SECONDS)


async def test_a_connection_that_is_half_closed_while_idle_is_replaced_unnoticed(database_url: str) -> None:
    with tapped(database_url) as wire:
        async with crew(wire.url, connections=1, deadline=5) as database:
            first = await database.run(backend)
            for client in wire.clients:
                client.shutdown(socket.SHUT_WR)
            assert await database.run(backend) != first


async def test_answers_that_come_late_are_answers_to_what_was_asked(database_url: str) -> None:
    with tapped(database_url) as wire:
        wire.delay_seconds = 0.05
        async with crew(wire.url, connections=4, deadline=20) as database:
            asked = range(16)
            assert await asyncio.gather(*(database.run(partial(_echo, number=number)) for number in asked)) == [*asked]


async def test_an_answer_that_comes_after_the_deadline_is_not_waited_for_and_costs_nothing(
    database_url: str, out_of_band: psycopg.Connection
) -> None:
    name = f"slow-{uuid4()}"
    with tapped(with_parameters(database_url, application_name=name)) as wire:
        async with crew(wire.url, connections=1, deadline=0.2) as database:
            first = await _answered(database, backend)
            wire.delay_seconds, before = 60, wire.answers
            with pytest.raises(StorageUnavailable):
                await database.run(backend)
            assert wire.answers == before
            wire.delay_seconds = 0
            assert await asyncio.wait_for(_answered(database, backend), PATIENCE_SECONDS) != first
            query = "select count(*) from pg_stat_activity where application_name = %s"
            while out_of_band.execute(query, [name]).fetchone() != (1,):  # noqa: ASYNC110 - the server tells no event
                await asyncio.sleep(0.01)


def _echo(connection: Connection, number: int) -> int:
    return int(connection.execute(text(f"select {number}")).scalar_one())


async def test_when_a_host_of_the_url_is_gone_the_next_one_serves(database_url: str) -> None:
    with tapped(database_url) as second, ExitStack() as cleanup:
        first = cleanup.enter_context(tapped(database_url))
        hosts = ",".join(str(conninfo_to_dict(wire.url)["host"]) for wire in (first, second))
        async with crew(with_parameters(first.url, host=hosts), connections=1, deadline=5) as database:
            assert await database.run(backend)
            assert second.clients == []
            cleanup.close()
            for client in first.clients:
                client.shutdown(socket.SHUT_RDWR)
            assert await database.run(backend)
            assert second.clients


@pytest.fixture
def narrow_url(database_url: str, out_of_band: psycopg.Connection) -> Iterator[str]:
    """For a role that may have two connections."""
    role = f"taskward_test_{uuid4().hex}"
    create = "create role {0} login password 'narrow' connection limit 2"
    out_of_band.execute(sql.SQL(create).format(sql.Identifier(role)))
    yield with_parameters(database_url, user=role, password="narrow")  # noqa: S106 - for the test alone
    out_of_band.execute(sql.SQL("drop role {0}").format(sql.Identifier(role)))


async def test_fewer_connections_than_workers_serve_all(narrow_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: set[float] = set()
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.add(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    async with crew(narrow_url, connections=6, deadline=5) as database:
        assert await database.run(backend)
        backends = await asyncio.gather(*(database.run(backend) for _ in range(60)))
    assert 1 <= len(set(backends)) <= 2
    assert slept == {0.5}  # for so long a worker without a connection leaves the work to the others


async def _answered(database: DatabaseExecutor, operation: Callable[[Connection], int]) -> int:
    """The answer as soon as there is one."""
    while True:
        try:
            return await database.run(operation)
        except (StorageUnavailable, SQLAlchemyError):
            await asyncio.sleep(0.01)
