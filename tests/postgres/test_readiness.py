"""Readiness: the database is asked only if the answer is not known."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.connections import health
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.gateway import TaskGateway
from adapters.postgres.repository import PostgresTaskRepository
from adapters.postgres.schema import readiness
from adapters.postgres.schema.readiness import PostgresReadiness
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from adapters.postgres.schema.startup import wait_until_ready
from domain.errors import StorageError, StorageOutdated, StorageUnavailable
from domain.task import TaskDraft, UserId
from tests.conftest import LoggedLines
from tests.databases import with_parameters
from tests.executors import backend, executor, running
from tests.postgres.conftest import RAISE
from tests.postgres.wire import Wire, tapped


@pytest.fixture
async def database(wire: Wire) -> AsyncIterator[DatabaseExecutor]:
    async with running(executor(wire.url, RAISE, queue=10, deadline=0.5, prepare="off")) as database:
        yield database


async def test_only_the_first_check_asks_the_database(database: DatabaseExecutor, wire: Wire) -> None:
    for _ in range(3):
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 1


async def test_a_successful_operation_replaces_a_check(database: DatabaseExecutor, wire: Wire, alice: UserId) -> None:
    await PostgresTaskRepository(database).add(alice, TaskDraft("x"))
    wire.clear()
    await PostgresReadiness(database).check()
    assert wire.statements == []


async def test_a_failure_makes_the_check_ask(database: DatabaseExecutor, wire: Wire, alice: UserId) -> None:
    tasks = PostgresTaskRepository(database)
    await PostgresReadiness(database).check()
    wire.is_mute = True
    with pytest.raises(StorageUnavailable):
        await tasks.add(alice, TaskDraft("x"))
    with pytest.raises(StorageUnavailable):
        await PostgresReadiness(database).check()


async def test_the_reason_for_unreadiness_is_logged(
    database: DatabaseExecutor, wire: Wire, logged: LoggedLines
) -> None:
    wire.drops_next = 2  # the read is repeated once
    with pytest.raises(StorageUnavailable, match="error OperationalError"):
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 2
    wire.is_mute = True
    with pytest.raises(StorageUnavailable, match="the deadline passed"):
        await PostgresReadiness(database).check()
    facts = [(line["level"], line["error"], line.get("reason")) for line in logged() if line["event"] == "not ready"]
    assert facts == [
        ("warning", "StorageUnavailable", "error OperationalError"),
        ("warning", "StorageUnavailable", "the deadline passed"),
    ]


async def test_an_old_success_is_not_enough(
    database: DatabaseExecutor, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    for _ in range(2):
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 2


async def test_probes_every_second_ask_every_thirty(
    database: DatabaseExecutor, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(61):
        monkeypatch.setattr(health, "monotonic", lambda now=float(second): now)
        await PostgresReadiness(database).check()
    assert len(wire.statements) == 3


FAULTS: dict[str, tuple[str, type[StorageError], str]] = {
    "no schema": ("drop table tasks, alembic_version", StorageOutdated, "its schema is empty, this release needs"),
    "no revision": ("delete from alembic_version", StorageOutdated, "its schema is empty, this release needs"),
    "an older revision": (
        "update alembic_version set version_num = '0000'",
        StorageOutdated,
        r"its schema is 0000, this release needs \d{4}: run `taskward migrate`$",
    ),
    "another application's revision": (
        "update alembic_version set version_num = 'ae1027a6acf4'",
        StorageOutdated,
        "its alembic_version, ae1027a6acf4, is not ours: give Taskward a database of its own$",
    ),
    "a revision like a number": (
        "update alembic_version set version_num = '99999'",
        StorageOutdated,
        "its alembic_version, 99999, is not ours",
    ),
    "no table": ("drop table tasks", StorageOutdated, r"its schema says \d{4} but has no table tasks: restore"),
    "no column": (
        "alter table tasks drop column description",
        StorageOutdated,
        r"its schema says \d{4} but has no column description: restore",
    ),
    "no privileges": (
        "revoke update, delete on tasks from {role}; grant select on tasks to {role}",
        StorageUnavailable,
        r"its role may not DELETE, UPDATE on tasks: grant that \(docs/operations.md has the grants\)$",
    ),
    "privileges on some columns": (
        "revoke update on tasks from {role}; grant update (title, completed, updated_at) on tasks to {role}",
        StorageUnavailable,
        "its role may not UPDATE on tasks",
    ),
    "row security": (
        "alter table tasks enable row level security",
        StorageUnavailable,
        "row security on tasks applies to its role: disable it, or give the role bypassrls$",
    ),
}


@pytest.fixture
def serving(empty_database_url: str) -> Iterator[tuple[psycopg.Connection, str, str]]:
    """A migrated database, a role that may serve from it, and the URL for that role."""
    upgrade(create_migration_engine(empty_database_url))
    role = f"taskward_test_{uuid4().hex}"
    with psycopg.connect(empty_database_url, autocommit=True) as operator:
        operator.execute(
            f"create role {role} login password 'x'; grant select, insert, update, delete on tasks to {role};"
            f" grant select on alembic_version to {role}".encode()
        )
        yield operator, role, with_parameters(empty_database_url, user=role, password="x")  # noqa: S106 - for the test only
        operator.execute(f"drop owned by {role}; drop role {role}".encode())


@pytest.mark.parametrize("name", FAULTS)
async def test_an_unfit_database_is_neither_ready_nor_started(
    serving: tuple[psycopg.Connection, str, str], name: str
) -> None:
    operator, role, url = serving
    change, kind, words = FAULTS[name]
    with tapped(url) as wire:
        async with running(executor(wire.url, prepare="off")) as database:
            await PostgresReadiness(database).check()
            wait_until_ready(url, timeout=2, patience=20)
            operator.execute(change.format(role=role).encode())
            database.health.record_failure(StorageUnavailable("so that the check asks"))
            wire.clear()
            with pytest.raises(kind, match=f"^{words}"):
                await PostgresReadiness(database).check()
            assert wire.round_trips == 1
    with pytest.raises(kind, match=f"^{words}"):
        wait_until_ready(url, timeout=2, patience=20)


async def test_a_later_revision_is_ready(serving: tuple[psycopg.Connection, str, str]) -> None:
    operator, _, url = serving
    operator.execute("update alembic_version set version_num = '9999'")
    async with running(executor(url)) as database:
        await PostgresReadiness(database).check()


@pytest.mark.parametrize(
    ("change", "sqlstate"),
    [
        ("revoke update on tasks from {role}", "42501"),
        ("alter table tasks rename to other", "42P01"),
        ("revoke usage on schema public from public", "42P01"),
    ],
)
async def test_damage_at_run_time_is_unavailable_and_unready(
    serving: tuple[psycopg.Connection, str, str], alice: UserId, logged: LoggedLines, change: str, sqlstate: str
) -> None:
    operator, role, url = serving
    async with running(executor(url)) as database:
        tasks = PostgresTaskRepository(database)
        task, _ = await tasks.add(alice, TaskDraft("x"))
        operator.execute(change.format(role=role).encode())
        with pytest.raises(StorageUnavailable):
            await tasks.toggle(alice, task.id)
        (line,) = [line for line in logged() if line["event"] == "database" and line["operation"] == "toggle"]
        assert (line["level"], line["outcome"], line["sqlstate"]) == ("warning", "StorageUnavailable", sqlstate)
        assert "exception" not in line
        with pytest.raises(StorageError):
            await PostgresReadiness(database).check()


@pytest.mark.parametrize("sqlstate", ["42501", "42P01", "3F000", "55000"])
async def test_an_operators_mistake_is_logged_in_one_line(
    raising: DatabaseExecutor, alice: UserId, logged: LoggedLines, sqlstate: str
) -> None:
    assert await backend(raising)
    assert raising.health.has_succeeded_within(readiness.FRESH_SECONDS)
    with pytest.raises(StorageUnavailable, match=f"sqlstate {sqlstate}$"):
        await TaskGateway(raising).run("toggle", RAISE, alice, uuid4(), {"sqlstate": sqlstate})
    (line,) = logged()
    assert (line["event"], line["outcome"], line["sqlstate"]) == ("database", "StorageUnavailable", sqlstate)
    assert "exception" not in line
    assert not raising.health.has_succeeded_within(readiness.FRESH_SECONDS)


async def test_privileges_on_written_columns_are_enough(
    serving: tuple[psycopg.Connection, str, str],
) -> None:
    operator, role, url = serving
    narrow = (
        "revoke insert, update on tasks from {0};"
        " grant insert (id, user_id, title, description, completed) on tasks to {0};"
        " grant update (title, description, completed, updated_at) on tasks to {0}"
    )
    operator.execute(narrow.format(role).encode())
    wait_until_ready(url, timeout=2, patience=20)
    async with running(executor(url)) as database:
        await PostgresReadiness(database).check()
        await PostgresTaskRepository(database).add(UserId("alice"), TaskDraft("x"))


async def test_bypassed_row_security_is_no_obstacle(serving: tuple[psycopg.Connection, str, str]) -> None:
    operator, role, url = serving
    operator.execute(f"alter table tasks enable row level security; alter role {role} bypassrls".encode())
    wait_until_ready(url, timeout=2, patience=20)
