"""Databases of the tests' own: made on a server, brought up to date, dropped again, and never anybody else's."""

import contextlib
from collections.abc import Iterator
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PREFIX = "taskward_test_"


@contextlib.contextmanager
def own_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database that lives as long as the context."""
    name = f"{PREFIX}{uuid4().hex[:12]}"
    administer(
        server_url, sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(name))
    )
    try:
        yield with_parameters(server_url, dbname=name)
    finally:
        drop_database(server_url, name)


def drop_database(server_url: str, name: str) -> None:
    if not name.startswith(PREFIX):
        raise PermissionError(f"{name} is not a database of the tests")
    administer(server_url, sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def with_parameters(url: str, **parameters: str) -> str:
    """The URL with some of libpq's parameters replaced."""
    return "postgresql://?" + urlencode(conninfo_to_dict(url) | parameters, quote_via=quote)


def administer(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(statement)
