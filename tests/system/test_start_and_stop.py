"""A start succeeds or says why not in good time, whatever the database does; an end is orderly, whatever runs."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx2
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from entrypoints.database import START_PATIENCE_SECONDS
from tests.databases import with_parameters
from tests.planted import PLANTED
from tests.postgres.wire import tapped
from tests.system.service import TASK, Service, assert_refused, run, serving

WAITING = ["waiting for the database"]


def test_waiting_for_the_database_leaves_time_to_load() -> None:
    assert START_PATIENCE_SECONDS <= 7


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_silent_server_does_not_block_the_start(database_url: str, command: str) -> None:
    with tapped(database_url) as wire:
        wire.is_mute = True
        assert_refused(run(command, DATABASE_URL=wire.url), "cannot be reached: there is no answer")


def test_a_locked_revision_does_not_block_the_start(database_url: str, out_of_band: psycopg.Connection) -> None:
    with out_of_band.transaction():
        out_of_band.execute("lock table alembic_version")
        assert_refused(run("serve", DATABASE_URL=database_url), "no answer")


@pytest.fixture
def migrated_url(empty_database_url: str) -> str:
    upgrade(create_migration_engine(empty_database_url))
    return empty_database_url


@pytest.fixture
def stranger_url(migrated_url: str, out_of_band: psycopg.Connection) -> Iterator[str]:
    """The URL for a role without any grants."""
    name = str(conninfo_to_dict(migrated_url)["dbname"]).replace("test", "stranger")
    out_of_band.execute(sql.SQL("create role {} login password 'x'").format(sql.Identifier(name)))
    yield with_parameters(migrated_url, user=name, password="x")  # noqa: S106 - for this test only
    out_of_band.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_a_missing_grant_is_named(stranger_url: str) -> None:
    assert_refused(run("serve", DATABASE_URL=stranger_url), "permission denied for table alembic_version")


def test_a_database_with_another_datestyle_is_refused(migrated_url: str) -> None:
    assert_refused(run("serve", DATABASE_URL=with_parameters(migrated_url, options="-c datestyle=German")), "DateStyle")


def test_pgclientencoding_is_ignored(database_url: str) -> None:
    with serving(database_url, PGCLIENTENCODING="latin1") as (_, client):
        task = TASK | {"title": f"{PLANTED} \U0001f95b"}
        assert client.post("/v1/tasks", json=task).json()["title"] == task["title"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"connect_timeout": "soon"},
        {"gssencmode": "perhaps"},
        {"sslmode": "require", "sslrootcert": "system"},
        {"sslmode": "prefer", "sslnegotiation": "direct"},
        {"host": "127.0.0.1,127.0.0.2", "hostaddr": "127.0.0.1"},
    ],
    ids=" ".join,
)
def test_parameters_that_libpq_refuses_are_reported_at_once(database_url: str, parameters: dict[str, str]) -> None:
    assert_refused(run("serve", DATABASE_URL=with_parameters(database_url, **parameters)), "cannot be reached")


def test_an_unknown_database_host_is_named() -> None:
    ended = run("serve", DATABASE_URL="postgresql://user@nowhere.invalid/tasks")
    assert ended.returncode != 0
    assert ended.stderr.startswith(
        "taskward: DATABASE_URL: it cannot be reached: failed to resolve host 'nowhere.invalid'"
    )
    assert len(ended.stderr.splitlines()) == 1


def test_a_newer_schema_is_served_but_not_migrated(migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with serving(migrated_url) as (_, client):
        assert client.get("/health/ready").status_code == 200
    ended = run("migrate", DATABASE_URL=migrated_url)
    assert ended.returncode != 0
    assert "9999" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_invalid_host_is_reported(database_url: str) -> None:
    ended = run("serve", DATABASE_URL=database_url, HOST="a..b")
    assert ended.returncode != 0
    assert ended.stderr.startswith("taskward: HOST, PORT: cannot listen on a..b")


def test_each_of_two_workers_serves(database_url: str) -> None:
    with Service({"DATABASE_URL": database_url, "WORKERS": "2"}) as service, service.wait_until_ready() as client:
        service.wait_for('"ready"')
        assert client.get("/health/ready").status_code == 200
        assert service.end() == 0
    assert len(service.events("stopped")) == 2


def test_workers_do_not_outlive_their_supervisor(database_url: str) -> None:
    with Service({"DATABASE_URL": database_url, "WORKERS": "2"}) as service, service.wait_until_ready():
        service.wait_for('"ready"')
        service.process.kill()
        for _ in range(2):
            service.wait_for('"stopped"')


def _blocked_toggle(
    pool: ThreadPoolExecutor, client: httpx2.Client, task_id: str, holder: psycopg.Connection
) -> Future[httpx2.Response]:
    """Start a request that waits in the database for the holder's transaction."""
    holder.execute("select 1 from tasks where id = %s for update", [task_id])
    waiting = pool.submit(client.post, f"/v1/tasks/{task_id}/toggle")
    while holder.execute("select 1 from pg_locks where not granted").fetchone() is None:
        assert not waiting.done()
    return waiting


both_ways_to_serve = pytest.mark.parametrize("workers", ["1", "2"])
PATIENT = {"SHUTDOWN_GRACE_SECONDS": "3600", "DATABASE_DEADLINE_SECONDS": "300"}


@both_ways_to_serve
def test_a_stop_finishes_requests_in_flight(database_url: str, out_of_band: psycopg.Connection, workers: str) -> None:
    with serving(database_url, WORKERS=workers, **PATIENT) as (service, client), ThreadPoolExecutor() as pool:
        task = client.post("/v1/tasks", json=TASK).json()
        with out_of_band.transaction():
            waiting = _blocked_toggle(pool, client, task["id"], out_of_band)
            service.process.send_signal(signal.SIGTERM)
            service.wait_for("Waiting for connections to close")
        assert waiting.result().status_code == 200
        assert service.process.wait() == 0


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGHUP])
def test_a_terminals_signal_to_the_group_counts_once(
    database_url: str, out_of_band: psycopg.Connection, by: signal.Signals
) -> None:
    with serving(database_url, WORKERS="2", **PATIENT) as (service, client), ThreadPoolExecutor() as pool:
        task = client.post("/v1/tasks", json=TASK).json()
        with out_of_band.transaction():
            waiting = _blocked_toggle(pool, client, task["id"], out_of_band)
            os.killpg(service.process.pid, by)
            service.wait_for("Waiting for connections to close")
        assert waiting.result().status_code == 200
        assert service.process.wait() == 0


def test_a_request_beyond_the_grace_changes_nothing(database_url: str, out_of_band: psycopg.Connection) -> None:
    settings = {"SHUTDOWN_GRACE_SECONDS": "1", "DATABASE_DEADLINE_SECONDS": "300"}
    with serving(database_url, **settings) as (service, client), ThreadPoolExecutor() as pool:
        task = client.post("/v1/tasks", json=TASK).json()
        with out_of_band.transaction():
            waiting = _blocked_toggle(pool, client, task["id"], out_of_band)
            assert service.end() == 0
            answer = waiting.result()
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:taskward:problem:database-unavailable")
    row = out_of_band.execute("select completed from tasks where id = %s", [task["id"]]).fetchone()
    assert row == (False,)


@both_ways_to_serve
@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_kills_the_service_at_once(
    database_url: str, out_of_band: psycopg.Connection, signals: tuple[signal.Signals, signal.Signals], workers: str
) -> None:
    with serving(database_url, WORKERS=workers, **PATIENT) as (service, client), ThreadPoolExecutor() as pool:
        task = client.post("/v1/tasks", json=TASK).json()
        with out_of_band.transaction():
            waiting = _blocked_toggle(pool, client, task["id"], out_of_band)
            service.process.send_signal(signals[0])
            service.wait_for("Waiting for connections to close")
            assert service.end(signals[1]) == -signals[1]
        with pytest.raises((httpx2.NetworkError, httpx2.RemoteProtocolError)):  # the connection is cut
            waiting.result()
