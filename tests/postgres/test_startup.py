"""The start waits for a database that is waking up, and fails at once if waiting cannot help."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import psycopg
import pytest

from adapters.postgres.schema import startup
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from adapters.postgres.schema.startup import wait_until_ready
from domain.errors import StorageError, StorageOutdated, StorageUnavailable
from tests.conftest import LoggedLines
from tests.databases import own_database, with_parameters
from tests.postgres.wire import Wire, tapped

PATIENCE_SECONDS = 60.0


def wait(url: str, *, patience: float = PATIENCE_SECONDS, **options: bool) -> None:
    wait_until_ready(url, timeout=2, patience=patience, **options)


def lines(logged: LoggedLines) -> list[tuple[str, str, str]]:
    return [(line["level"], line["event"], line["error"]) for line in logged()]


def test_a_ready_database_needs_no_waiting(database_url: str, logged: LoggedLines) -> None:
    wait(database_url)
    assert logged() == []


def test_a_waking_database_is_awaited_and_logged_once(
    wire: Wire, logged: LoggedLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(startup, "sleep", slept.append)
    wire.drops_next = 2
    wait(wire.url)
    assert slept == [0.2, 0.2]
    assert len(wire.statements) == 3
    assert lines(logged) == [("info", "waiting for the database", "OperationalError")]


def test_patience_has_an_end(database_url: str, out_of_band: psycopg.Connection) -> None:
    before = set(threading.enumerate())
    with out_of_band.transaction():
        out_of_band.execute("lock table alembic_version")
        with pytest.raises(StorageUnavailable, match=r"^it cannot be reached: there is no answer$"):
            wait(database_url, patience=0.1)
        (still_trying,) = set(threading.enumerate()) - before
        assert still_trying.daemon  # it does not keep the process alive
    still_trying.join()


def test_a_temporary_error_is_waited_for_too(
    database_url: str, out_of_band: psycopg.Connection, logged: LoggedLines
) -> None:
    impatient = with_parameters(database_url, options="-c statement_timeout=10ms")
    with ThreadPoolExecutor() as threads:
        with out_of_band.transaction():
            out_of_band.execute("lock table alembic_version")
            waiting = threads.submit(wait, impatient)
            while not (logged() or waiting.done()):
                pass
            assert not waiting.done()
        waiting.result()
    assert lines(logged) == [("info", "waiting for the database", "QueryCanceled")]


@pytest.mark.parametrize(
    ("parameters", "failure", "words"),
    [
        ({"dbname": "nowhere"}, StorageUnavailable, r"it cannot be reached: .*\"nowhere\" does not exist"),
        ({"sslmode": "perhaps"}, StorageUnavailable, "it cannot be reached: .*sslmode"),
        (
            {"options": "-c DateStyle=German"},
            StorageUnavailable,
            "it is not fit for tasks: its encoding is UTF8 and its DateStyle German, DMY, not UTF8 and ISO",
        ),
        (
            {"options": "-c role=pg_monitor"},
            StorageUnavailable,
            "it cannot be read: permission denied for table alembic_version$",
        ),
        ({"options": "-c search_path=pg_catalog"}, StorageOutdated, "its schema is empty"),
    ],
    ids=str,
)
def test_final_failures_are_raised_at_once(
    database_url: str, logged: LoggedLines, parameters: dict[str, str], failure: type[StorageError], words: str
) -> None:
    with pytest.raises(failure, match=f"^{words}"):
        wait(with_parameters(database_url, **parameters))
    assert logged() == []


def test_an_empty_database_passes_without_the_schema_check(empty_database_url: str) -> None:
    wait(empty_database_url, schema=False)
    with pytest.raises(StorageOutdated):
        wait(empty_database_url)


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ('connection failed: FATAL:  password authentication failed for user "x"', False),
        ('connection to server at "certificates-db", port 5432 failed: Connection refused', True),
        ('connection failed: FATAL:  the database system is starting up: "does not exist"', True),
        ("failed to resolve host 'permission denied.example': [Errno -2] Name or service not known", True),
        ('could not translate host name "tasks.example" to address: Name or service not known', True),
    ],
)
def test_quoted_names_do_not_decide_about_waiting(text: str, *, waits: bool) -> None:
    failure, is_final = startup._reason(psycopg.OperationalError(text))  # noqa: SLF001 - such servers are hard to set up
    assert is_final is not waits
    assert isinstance(failure, StorageUnavailable)


def test_an_unknown_host_name_is_waited_for(logged: LoggedLines, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def unknown(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(StorageUnavailable, match=r"^it cannot be reached: .*Name or service not known"):
        wait("postgresql://user@certificate-database.invalid/tasks", patience=3)
    assert len(asked) > 1
    assert lines(logged) == [("info", "waiting for the database", "OperationalError")]


@pytest.mark.parametrize("name", ["certificates-x", "password authentication failed", "permission denied"])
def test_a_missing_server_is_awaited_whatever_its_name(logged: LoggedLines, name: str) -> None:
    parameters = {"host": f"/{name}", "port": "5432", "dbname": name, "user": name}
    with pytest.raises(StorageUnavailable, match=r"^it cannot be reached: "):
        wait("postgresql://?" + urlencode(parameters, quote_via=quote), patience=3)
    assert lines(logged) == [("info", "waiting for the database", "OperationalError")]


def test_a_misleading_database_name_is_no_obstacle(
    server_url: str, logged: LoggedLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "sleep", lambda _: None)
    with own_database(server_url, "password authentication failed") as url, tapped(url) as wire:
        upgrade(create_migration_engine(url))
        wire.drops_next = 1
        wait(wire.url)
    assert lines(logged) == [("info", "waiting for the database", "OperationalError")]
