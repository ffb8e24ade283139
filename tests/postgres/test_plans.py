"""How the server runs the statements: a listing walks its index, a single task is found by its key."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from adapters.postgres import statements
from adapters.postgres.connections.guard import Statement
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from domain.listing import Order
from tests.databases import own_database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INDEX = "ix_tasks_user_id_created_at_id"


@pytest.fixture(scope="module", params=["id", "user_id, id"])
def key(request: pytest.FixtureRequest) -> str:
    """The primary key as migrations make it, and as a distributed table has it."""
    return str(request.param)


@pytest.fixture(scope="module")
def crowded(server_url: str, key: str) -> Iterator[psycopg.Connection]:
    """A table on which a sort would be dear: each user has far more tasks than a page."""
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        with psycopg.connect(url, autocommit=True) as connection:
            change = f"alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key ({key})"
            connection.execute(change.encode())
            connection.execute(
                "insert into tasks (user_id, title, completed, created_at, updated_at)"
                " select 'user ' || n % 5, 'x', n % 3 = 0, now() - n * interval '1 second', now()"
                " from generate_series(1, 10000) n"
            )
            connection.execute("analyze tasks")
            yield connection


def plan(connection: psycopg.Connection, statement: Statement) -> list[dict[str, Any]]:
    """The nodes of the statement's plan, from the outermost in."""
    values = {"owner": "user 1", "task_id": uuid4(), "title": "x", "description": None, "completed": True, "limit": 51}
    values |= {
        "to": True,
        "expected": [NOW],
        "after_created_at": datetime.now(UTC) - timedelta(minutes=83),
        "after_id": uuid4(),
    }
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement.text)))
    text = re.sub(r"%\((\w+)\)s", lambda name: f"${names.index(name[1]) + 1}", statement.text)
    given = sql.SQL(", ").join(sql.Literal(values[name]) for name in names)
    connection.execute(b"prepare probe as " + text.encode())
    row = connection.execute(sql.SQL("explain (format json) execute probe({})").format(given)).fetchone()
    connection.execute("deallocate probe")
    nodes = [row[0][0]["Plan"]] if row else []
    for node in nodes:
        nodes.extend(node.get("Plans", ()))
    return nodes


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def planner(crowded: psycopg.Connection, request: pytest.FixtureRequest) -> psycopg.Connection:
    """Plans as a statement that is sent once gets them, and as a prepared one does."""
    crowded.execute("select set_config('plan_cache_mode', %s, false)", [request.param])
    return crowded


@pytest.mark.parametrize(("after", "completed", "order"), statements.LIST)
def test_a_listing_reads_the_index_and_sorts_nothing(
    planner: psycopg.Connection, after: bool, completed: bool, order: Order
) -> None:
    limit, scan = plan(planner, statements.LIST[after, completed, order])
    assert (limit["Node Type"], scan["Node Type"], scan["Index Name"]) == ("Limit", "Index Scan", INDEX)
    assert scan["Scan Direction"] == ("Backward" if order is Order.NEWEST else "Forward")
    assert "user_id" in scan["Index Cond"]
    assert (f"ROW(created_at, id) {'<' if order is Order.NEWEST else '>'} " in scan["Index Cond"]) is after
    assert ("Filter" in scan) is completed


@pytest.mark.parametrize(
    "statement",
    [
        statements.GET,
        *statements.TOGGLE.values(),
        *statements.DELETE.values(),
        *statements.UPDATE.values(),
    ],
    ids=str,
)
def test_one_task_is_found_by_the_primary_key(planner: psycopg.Connection, key: str, statement: Statement) -> None:
    nodes = plan(planner, statement)
    assert [node["Node Type"] for node in nodes if node["Node Type"] != "ModifyTable"] == ["Index Scan"]
    assert nodes[-1]["Index Name"] == "pk_tasks"
    assert re.findall(r"\b(\w+)\)?(?:::text)? = ", nodes[-1]["Index Cond"]) == key.split(", ")


@pytest.mark.parametrize("statement", [statements.COUNT, statements.UPDATE_ALL, statements.DELETE_ALL], ids=str)
def test_a_users_tasks_are_found_by_an_index(planner: psycopg.Connection, statement: Statement) -> None:
    with planner.transaction():
        planner.execute("set local enable_seqscan = off")  # it would be cheaper for a fifth of a small table
        (condition,) = [node["Index Cond"] for node in plan(planner, statement) if "Index Cond" in node]
    assert condition.startswith("((user_id)::text = ")
