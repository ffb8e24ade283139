"""Connections that are hard to get: the server is silent after the login, or has no room."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.connections import pool
from adapters.postgres.connections.connection import Connection, Connector, libpq_parameters
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from domain.errors import StorageUnavailable
from tests.databases import with_parameters
from tests.executors import BACKEND, SLEEP, TEXT, backend, executor, running
from tests.postgres.wire import tapped

PATIENCE_SECONDS = 20


def test_the_urls_timeouts_override_the_defaults() -> None:
    ours = libpq_parameters("postgresql://user@host/tasks", 7)
    assert ours["connect_timeout"] == 7
    assert libpq_parameters("postgresql://user@host/tasks?connect_timeout=3", 7)["connect_timeout"] == "3"
    theirs = libpq_parameters("postgresql://user@host/tasks?keepalives_idle=7&tcp_user_timeout=7000")
    assert ours["keepalives_idle"] + ours["keepalives_interval"] * ours["keepalives_count"] == 45
    assert ours["tcp_user_timeout"] == 10_000
    assert (theirs["keepalives_idle"], theirs["tcp_user_timeout"]) == ("7", "7000")


def test_system_certificates_are_those_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores it
        monkeypatch.delenv(name)
    trusted = ssl.get_default_verify_paths()
    libpq_parameters("postgresql://user@host/tasks?sslrootcert=system")
    named = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
    assert named == [trusted.cafile, trusted.capath]


async def test_silence_after_a_login_costs_no_connection(database_url: str) -> None:
    with tapped(database_url) as wire:
        wire.is_mute = True
        async with running(executor(wire.url, connections=2, queue=100, deadline=0.2)) as database:
            for _ in range(3):
                with pytest.raises(StorageUnavailable):
                    await backend(database)
            wire.is_mute = False
            assert await asyncio.wait_for(_answered(database), PATIENCE_SECONDS)


async def test_a_server_falling_silent_costs_no_connection(database_url: str) -> None:
    with tapped(database_url) as wire:
        async with running(executor(wire.url, connections=1, queue=100, deadline=0.2)) as database:
            assert await _answered(database)
            wire.is_mute = True
            with pytest.raises(StorageUnavailable):
                await backend(database)
            wire.is_mute = False
            assert await asyncio.wait_for(_answered(database), PATIENCE_SECONDS)


async def test_a_half_closed_idle_connection_is_replaced(database_url: str) -> None:
    with tapped(database_url) as wire:
        async with running(executor(wire.url, connections=1, queue=100, deadline=5)) as database:
            first = await backend(database)
            for client in wire.clients:
                client.shutdown(socket.SHUT_WR)
            assert await backend(database) != first


async def test_late_answers_reach_their_own_callers(database_url: str) -> None:
    with tapped(database_url) as wire:
        wire.delay_seconds = 0.05
        async with running(executor(wire.url, connections=4, queue=100, deadline=20)) as database:
            answers = await asyncio.gather(*(database.run(TEXT, {"text": str(number)}) for number in range(16)))
            assert answers == [[(str(number),)] for number in range(16)]


async def test_no_answer_is_awaited_past_the_deadline(database_url: str, out_of_band: psycopg.Connection) -> None:
    name = f"slow-{uuid4()}"
    with tapped(with_parameters(database_url, application_name=name)) as wire:
        async with running(executor(wire.url, connections=1, queue=100, deadline=0.2)) as database:
            first = await _answered(database)
            wire.delay_seconds, before = 60, wire.answers
            with pytest.raises(StorageUnavailable):
                await backend(database)
            assert wire.answers == before
            wire.delay_seconds = 0
            assert await asyncio.wait_for(_answered(database), PATIENCE_SECONDS) != first
            query = "select count(*) from pg_stat_activity where application_name = %s"
            while out_of_band.execute(query, [name]).fetchone() != (1,):  # noqa: ASYNC110 - the server announces nothing
                await asyncio.sleep(0.01)


async def test_the_next_host_replaces_a_lost_one(database_url: str) -> None:
    with tapped(database_url) as second, ExitStack() as cleanup:
        first = cleanup.enter_context(tapped(database_url))
        hosts = ",".join(str(conninfo_to_dict(wire.url)["host"]) for wire in (first, second))
        async with running(
            executor(with_parameters(first.url, host=hosts), connections=1, queue=100, deadline=5)
        ) as database:
            assert await backend(database)
            assert second.clients == []
            cleanup.close()
            for client in first.clients:
                client.shutdown(socket.SHUT_RDWR)
            assert await backend(database)
            assert second.clients


@pytest.fixture
def narrow_url(database_url: str, out_of_band: psycopg.Connection) -> Iterator[str]:
    """A URL for a role that may have two connections."""
    role = f"taskward_test_{uuid4().hex}"
    create = "create role {0} login password 'narrow' connection limit 2"
    out_of_band.execute(sql.SQL(create).format(sql.Identifier(role)))
    yield with_parameters(database_url, user=role, password="narrow")  # noqa: S106 - for the test only
    out_of_band.execute(sql.SQL("drop role {0}").format(sql.Identifier(role)))


async def test_fewer_connections_than_places_serve_all(narrow_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "REST_SECONDS", 3600.0)
    async with running(executor(narrow_url, connections=6, queue=100)) as database:
        assert await backend(database)
        backends = await asyncio.gather(*(backend(database) for _ in range(60)))
    assert 1 <= len(set(backends)) <= 2


async def test_a_failed_login_is_retried_after_a_rest(narrow_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "REST_SECONDS", 0.0)
    async with running(executor(narrow_url, connections=3, queue=100)) as database:
        others = [psycopg.connect(narrow_url)]
        await backend(database)
        await asyncio.gather(*(backend(database) for _ in range(20)))
        for other in others:
            other.close()

        async def both_used() -> None:
            while len(set(await asyncio.gather(*(backend(database) for _ in range(20))))) < 2:
                pass

        await asyncio.wait_for(both_used(), PATIENCE_SECONDS)


class HangingSecond:
    """Opens the first connection. All other logins hang."""

    def __init__(self, url: str) -> None:
        self._connector = Connector(url, [BACKEND, SLEEP])
        self.asked = 0

    async def open(self, *, may_prepare: bool) -> Connection:
        self.asked += 1
        if self.asked > 1:
            await asyncio.Event().wait()
        return await self._connector.open(may_prepare=may_prepare)


async def test_a_hanging_login_blocks_no_free_connection(database_url: str) -> None:
    opener = HangingSecond(database_url)
    async with running(DatabaseExecutor(opener.open, connections=2, queue=10, deadline=300)) as database:
        await backend(database)
        both = asyncio.gather(backend(database), backend(database))  # one of them finds no connection free
        first, second = await asyncio.wait_for(both, PATIENCE_SECONDS)
        assert first == second
        assert opener.asked == 2


async def test_never_more_logins_than_places(database_url: str) -> None:
    opener = HangingSecond(database_url)
    opener.asked = 1
    async with running(DatabaseExecutor(opener.open, connections=2, queue=10, deadline=0.1)) as database:
        for _ in range(5):
            with pytest.raises(StorageUnavailable, match="the deadline passed"):
                await backend(database)
        assert opener.asked == 3


@pytest.mark.parametrize(("statement", "asked"), [(BACKEND, 2), (SLEEP, 1)])
async def test_a_read_is_retried_after_a_failed_login(database_url: str, statement: Statement, asked: int) -> None:
    opened = 0

    async def fail_first(*, may_prepare: bool) -> Connection:
        nonlocal opened
        opened += 1
        if opened == 1:  # like a pooler that has lost its server
            raise psycopg.errors.ProtocolViolation("server login failed")
        return await Connector(database_url, [BACKEND, SLEEP]).open(may_prepare=may_prepare)

    async with running(DatabaseExecutor(fail_first, connections=1, queue=1, deadline=5)) as database:
        outcome = (await asyncio.gather(database.run(statement, {}), return_exceptions=True))[0]
    assert isinstance(outcome, Exception) is (asked == 1)
    assert opened == asked


async def test_connections_requested_before_the_distrust_are_unused(database_url: str) -> None:
    asked, release = asyncio.Event(), asyncio.Event()
    connector = Connector(database_url, [BACKEND])
    prepares: list[bool] = []

    async def open_late(*, may_prepare: bool) -> Connection:
        prepares.append(may_prepare)
        asked.set()
        await release.wait()
        return await connector.open(may_prepare=may_prepare)

    async with running(DatabaseExecutor(open_late, connections=1, queue=1, deadline=300)) as database:
        answer = asyncio.ensure_future(backend(database))
        await asked.wait()
        database.distrust()
        release.set()
        assert await asyncio.wait_for(answer, PATIENCE_SECONDS)
    assert prepares == [True, False]


async def _answered(database: DatabaseExecutor) -> int:
    """Return the answer as soon as there is one."""
    while True:
        try:
            return await backend(database)
        except (StorageUnavailable, psycopg.Error):
            await asyncio.sleep(0.01)
