"""The database for the tests: on the server of TEST_DATABASE_URL if it is set, else on an embedded one."""

import json
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import structlog

from adapters.embedded_postgres import embedded_postgres
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from domain.task import UserId
from entrypoints.logs import configure_logging
from entrypoints.settings import DevelopmentSettings
from tests.databases import own_database, own_folder, scaling_sql
from tests.pgbouncer import can_track, pgbouncer, pooled, pooler_kinds
from tests.planted import assert_nothing_planted

LoggedLines = Callable[[], list[dict[str, Any]]]


def pytest_configure() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, processes that tests start would ignore it, too


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "server_url" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_outside_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV_FILE", os.devnull)
    ours = {field.upper() for field in DevelopmentSettings.model_fields}
    for name in [name for name in os.environ if name in ours or name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A running PostgreSQL on which the tests may create databases."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with own_folder() as folder, embedded_postgres(folder / "postgres") as url:
        yield url


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """A migrated database, shared by all tests. Each test uses its own users."""
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        yield url


@pytest.fixture(scope="session", params=pooler_kinds())
def pooled_url(database_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The same database through PgBouncer in transaction mode, without and with tracking of prepared statements."""
    program, tracks = pgbouncer(), request.param == "tracked"
    if program is None:
        pytest.skip("there is no PgBouncer here: apt-get install pgbouncer")
    if tracks and not can_track(program):
        pytest.skip("this PgBouncer does not track prepared statements: set PGBOUNCER=/path to version 1.21 or newer")
    with pooled(database_url, program, tracks=tracks) as url:
        yield url


@pytest.fixture(scope="session")
def distributed_url(server_url: str) -> Iterator[str]:
    """A database with the primary key of a distributed table, changed by hand as the guide says."""
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in scaling_sql("key"):
                connection.execute(statement)
        yield url


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    with own_database(server_url) as url:
        yield url


@pytest.fixture
def out_of_band(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that reads and writes the storage without the code under test."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def logged() -> Iterator[LoggedLines]:
    """Returns the lines logged since the test began, as dictionaries. The test fails if one has planted text.

    Name it before other fixtures: the application and the repository bind their loggers when they are made.
    """
    before = structlog.get_config(), logging.root.handlers, logging.root.level
    with tempfile.TemporaryFile() as file:
        output = configure_logging("info", "json", descriptor=file.fileno())

        def text() -> str:
            output.flush()
            file.seek(0)
            return file.read().decode()

        yield lambda: [json.loads(line) for line in text().splitlines()]
        structlog.configure(**before[0])
        logging.root.handlers = before[1]
        logging.root.setLevel(before[2])
        assert_nothing_planted(text())


@pytest.fixture
def alice() -> UserId:
    return UserId(f"alice-{uuid4()}")


@pytest.fixture
def bob() -> UserId:
    return UserId(f"bob-{uuid4()}")
