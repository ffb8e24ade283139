"""The database that tests run on: TEST_DATABASE_URL's server where it is set, an embedded one otherwise."""

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
from tests.pgbouncer import can_track, kinds, pgbouncer, pooled
from tests.planted import assert_untold

LoggedLines = Callable[[], list[dict[str, Any]]]


def pytest_configure() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, what tests start would ignore it, too


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "server_url" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
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
    """A migrated database, shared by all tests: each works with users of its own."""
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        yield url


@pytest.fixture(scope="session", params=kinds())
def pooled_url(database_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The same database through PgBouncer in transaction mode, without and with track of prepared statements."""
    program, tracks = pgbouncer(), request.param == "tracked"
    if program is None:
        pytest.skip("there is no PgBouncer here: apt-get install pgbouncer")
    if tracks and not can_track(program):
        pytest.skip("this PgBouncer keeps no track of prepared statements: PGBOUNCER=/path names one from 1.21 on")
    with pooled(database_url, program, tracks=tracks) as url:
        yield url


@pytest.fixture(scope="session")
def distributed_url(server_url: str) -> Iterator[str]:
    """A database whose primary key was changed by hand, as the guide says, for a table that is to be distributed."""
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
    """Looks into the storage without the code under test."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def logged() -> Iterator[LoggedLines]:
    """What has been logged since the test began, a dictionary a line; nothing planted may be among it.

    A test asks for it first: the application and the repository bind their loggers when they are made.
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
        assert_untold(text())


@pytest.fixture
def alice() -> UserId:
    return UserId(f"alice-{uuid4()}")


@pytest.fixture
def bob() -> UserId:
    return UserId(f"bob-{uuid4()}")
