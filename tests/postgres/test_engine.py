"""What a connection is like: it says who it is, tells no values, and goes to no database that would change a text."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError

from adapters.postgres.connections.engine import UnsuitableDatabase, create_postgres_engine, driver_connection
from adapters.postgres.connections.guard import lift_guard
from tests.databases import PREFIX, administer, drop_database, with_parameters


def test_it_says_who_it_is_and_waits_five_seconds_for_its_login(database_url: str) -> None:
    with create_postgres_engine(database_url).connect() as connection:
        parameters = driver_connection(connection).info.get_parameters()
    assert (parameters["application_name"], parameters["connect_timeout"]) == ("taskward", "5")


def test_an_error_does_not_tell_what_was_sent(database_url: str) -> None:
    with create_postgres_engine(database_url).connect() as connection:
        lift_guard(driver_connection(connection))
        with pytest.raises(DataError) as raised:
            connection.execute(text("select 1 / (:number - :number)"), {"number": 4711})
    assert "4711" not in str(raised.value)


def refusal(url: str) -> str:
    with pytest.raises(OperationalError) as raised:
        create_postgres_engine(url).connect()
    assert isinstance(raised.value.orig, UnsuitableDatabase)
    return str(raised.value.orig)


@pytest.fixture
def latin_url(server_url: str) -> Iterator[str]:
    name = f"{PREFIX}{uuid4().hex[:12]}"
    statement = sql.SQL("create database {} encoding 'LATIN1' locale 'C' template template0")
    administer(server_url, statement.format(sql.Identifier(name)))
    yield with_parameters(server_url, dbname=name)
    drop_database(server_url, name)


def test_an_encoding_that_does_not_know_all_characters_is_refused(latin_url: str) -> None:
    assert refusal(latin_url) == "its encoding is LATIN1 and its DateStyle ISO, MDY, not UTF8 and ISO"


def test_times_that_are_written_otherwise_are_refused(database_url: str) -> None:
    german = with_parameters(database_url, options="-c DateStyle=German")
    assert refusal(german) == "its encoding is UTF8 and its DateStyle German, DMY, not UTF8 and ISO"


def test_a_database_that_is_refused_is_left_at_once(database_url: str, out_of_band: psycopg.Connection) -> None:
    name = f"refused-{uuid4()}"
    refusal(with_parameters(database_url, options="-c DateStyle=German", application_name=name))
    query = "select count(*) from pg_stat_activity where application_name = %s"
    while out_of_band.execute(query, [name]).fetchone() != (0,):
        pass
