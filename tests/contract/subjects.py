"""The repositories under contract: the fake and PostgreSQL, each with direct access to its storage."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import psycopg
import pytest
from psycopg.rows import dict_row

from adapters.postgres.repository import PostgresTaskRepository
from domain.repository import TaskRepository
from domain.task import Task, UserId
from tests.executors import executor, running
from tests.fakes import InMemoryTaskRepository


class Storage(Protocol):
    """Direct access to what is stored, without the code under test."""

    def tasks_of(self, owner: UserId) -> list[Task]: ...

    def set_times(self, task: Task, created_at: datetime, updated_at: datetime) -> None: ...


class OnFake:
    @pytest.fixture
    def tasks(self) -> InMemoryTaskRepository:
        return InMemoryTaskRepository()

    @pytest.fixture
    def storage(self, tasks: TaskRepository) -> Storage:
        assert isinstance(tasks, InMemoryTaskRepository)
        return FakeStorage(tasks)


class OnPostgres:
    @pytest.fixture
    async def tasks(self, database_url: str) -> AsyncIterator[TaskRepository]:
        async with running(executor(database_url, connections=4, queue=100)) as database:
            yield PostgresTaskRepository(database)

    @pytest.fixture
    def storage(self, out_of_band: psycopg.Connection) -> Storage:
        return PostgresStorage(out_of_band)


class OnPgBouncer(OnPostgres):
    """The same through each kind of pooler, with more clients than server connections."""

    @pytest.fixture
    async def tasks(self, pooled_url: str) -> AsyncIterator[TaskRepository]:
        async with running(executor(pooled_url, connections=8, queue=100)) as database:
            yield PostgresTaskRepository(database)


class OnDistributedKey(OnPostgres):
    """The same with the primary key of a distributed table."""

    @pytest.fixture
    def database_url(self, distributed_url: str) -> str:
        return distributed_url


class FakeStorage:
    def __init__(self, fake: InMemoryTaskRepository) -> None:
        self._stored = fake.stored

    def tasks_of(self, owner: UserId) -> list[Task]:
        return [task for (user, _), task in self._stored.items() if user == owner]

    def set_times(self, task: Task, created_at: datetime, updated_at: datetime) -> None:
        self._stored[task.owner, task.id] = replace(task, created_at=created_at, updated_at=updated_at)


class PostgresStorage:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def tasks_of(self, owner: UserId) -> list[Task]:
        cursor = self._connection.cursor(row_factory=dict_row)
        rows = cursor.execute("select * from tasks where user_id = %s order by created_at", [owner.value]).fetchall()
        for row in rows:
            row["owner"] = UserId(row.pop("user_id"))
            row["created_at"] = row["created_at"].astimezone(UTC)
            row["updated_at"] = row["updated_at"].astimezone(UTC)
        return [Task(**row) for row in rows]

    def set_times(self, task: Task, created_at: datetime, updated_at: datetime) -> None:
        self._connection.execute(
            "update tasks set created_at = %s, updated_at = %s where id = %s", [created_at, updated_at, task.id]
        )
