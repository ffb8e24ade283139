"""A connection: it names the application, quotes no values, and refuses a database that would change texts."""

from collections.abc import Iterator
from datetime import UTC
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.connections.connection import Connector, UnsuitableDatabase
from adapters.postgres.connections.guard import Statement
from adapters.postgres.repository import PostgresTaskRepository
from domain.task import TaskDraft, UserId
from tests.databases import PREFIX, administer, drop_database, with_parameters
from tests.executors import executor, running

APPLICATION_NAME = Statement("select application_name from pg_stat_activity where pid = pg_backend_pid()", is_read=True)
DIVIDE = Statement("select 1 / (%(number)s::int - %(number)s::int)", is_read=True)


async def test_a_connection_names_the_application(database_url: str) -> None:
    async with running(executor(database_url, APPLICATION_NAME)) as database:
        assert await database.run(APPLICATION_NAME, {}) == [("taskward",)]


async def test_an_error_never_quotes_a_parameter(database_url: str) -> None:
    async with running(executor(database_url, DIVIDE)) as database:
        with pytest.raises(psycopg.errors.DivisionByZero) as raised:
            await database.run(DIVIDE, {"number": 4711})
    assert "4711" not in str(raised.value)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "UTC"])
async def test_times_are_always_in_utc(database_url: str, alice: UserId, zone: str) -> None:
    url = with_parameters(database_url, options=f"-c TimeZone={zone}")
    async with running(executor(url)) as database:
        task, _ = await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
    assert task.created_at.tzinfo is UTC


async def refusal(url: str) -> str:
    with pytest.raises(UnsuitableDatabase) as raised:
        await Connector(url, []).open()
    return str(raised.value)


@pytest.fixture
def latin_url(server_url: str) -> Iterator[str]:
    name = f"{PREFIX}{uuid4().hex[:12]}"
    statement = sql.SQL("create database {} encoding 'LATIN1' locale 'C' template template0")
    administer(server_url, statement.format(sql.Identifier(name)))
    yield with_parameters(server_url, dbname=name)
    drop_database(server_url, name)


async def test_an_encoding_other_than_utf8_is_refused(latin_url: str) -> None:
    assert await refusal(latin_url) == "its encoding is LATIN1 and its DateStyle ISO, MDY, not UTF8 and ISO"


async def test_a_datestyle_other_than_iso_is_refused(database_url: str) -> None:
    german = with_parameters(database_url, options="-c DateStyle=German")
    assert await refusal(german) == "its encoding is UTF8 and its DateStyle German, DMY, not UTF8 and ISO"


async def test_an_unsuitable_database_is_disconnected(database_url: str, out_of_band: psycopg.Connection) -> None:
    name = f"refused-{uuid4()}"
    await refusal(with_parameters(database_url, options="-c DateStyle=German", application_name=name))
    query = "select count(*) from pg_stat_activity where application_name = %s"
    while out_of_band.execute(query, [name]).fetchone() != (0,):
        pass
