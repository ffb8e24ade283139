"""The grants in the operator's guide: enough to serve, and nothing more."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.repository import PostgresTaskRepository
from adapters.postgres.schema.readiness import PostgresReadiness
from adapters.postgres.table import TaskRow
from domain.idempotency import IdempotencyKey
from domain.listing import TaskCounts
from domain.task import TaskChanges, TaskDraft, UserId
from tests.databases import with_parameters
from tests.executors import executor

GUIDE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


@pytest.fixture
async def serving_url(database_url: str, out_of_band: psycopg.Connection) -> AsyncIterator[str]:
    role = f"taskward_test_{uuid4().hex}"
    name = sql.Identifier(role)
    out_of_band.execute(sql.SQL("create role {} login password 'x'").format(name))
    (grants,) = re.findall(r"^```sql\n(.+?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    out_of_band.execute(grants.replace("serving_role", role).encode())
    yield with_parameters(database_url, user=role, password="x")  # noqa: S106 - for the test only
    out_of_band.execute(sql.SQL("drop owned by {0}; drop role {0}").format(name))


async def test_the_guides_grants_are_enough_to_serve(serving_url: str, alice: UserId) -> None:
    database = executor(serving_url)
    await PostgresReadiness(database).check()
    tasks = PostgresTaskRepository(database)
    task, _ = await tasks.add(alice, TaskDraft("x"))
    await tasks.add(alice, TaskDraft("y"), key=IdempotencyKey("k"))
    changed = await tasks.update(alice, task.id, TaskChanges("y", "z", completed=True))
    await tasks.toggle(alice, task.id, expected=frozenset({changed.updated_at}))
    assert len((await tasks.list(alice)).items) == 2
    assert await tasks.count(alice) == TaskCounts(2, 0)
    assert await tasks.update_all(alice, completed=False, to=True) == 2
    assert await tasks.update_all(alice, completed=True, to=False) == 2
    assert await tasks.delete_all(alice, completed=True) == 0
    await tasks.delete(alice, task.id)
    await database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update tasks set user_id = 'mallory'",
        "update tasks set id = gen_random_uuid()",
        "update tasks set created_at = now()",
        "truncate tasks",
        "alter table tasks add column x int",
        "drop table tasks",
        "update alembic_version set version_num = '0'",
    ],
)
async def test_the_guides_grants_allow_nothing_more(serving_url: str, statement: str) -> None:
    with psycopg.connect(serving_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


async def test_citus_may_insert_every_column(serving_url: str, alice: UserId) -> None:
    given = {"user_id": sql.Literal(alice.value), "title": sql.Literal("x")}
    names = [column.name for column in TaskRow.metadata.tables["tasks"].columns]
    insert = sql.SQL("insert into tasks ({}) values ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(given.get(name, sql.DEFAULT) for name in names),
    )
    with psycopg.connect(serving_url) as connection:
        connection.execute(insert)


def test_the_guide_migrates_before_it_grants() -> None:
    steps = GUIDE[GUIDE.index("## On Neon") :]
    assert steps.index("`taskward migrate`") < steps.index("(#least-privilege)") < steps.index("`taskward serve`")
