"""Well-meant and ill-meant statements of all forms: those that the guard lets pass are tried on a server."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.postgres.connections.guard import keeps_to_its_owner
from adapters.postgres.schema.revisions import upgrade
from adapters.postgres.table import TaskRow

EXAMPLES = 1500
TASKS = TaskRow.metadata.tables["tasks"]
MINE, HIS = UUID(int=1, version=4), UUID(int=2, version=4)
OWNER = "tasks.user_id = %(owner)s"


def any_of(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def some_of(*texts: str, least: int = 0, between: str = " ") -> st.SearchStrategy[str]:
    return st.integers(least, 2).flatmap(
        lambda number: st.lists(any_of(*texts), min_size=number, max_size=number).map(between.join)
    )


def in_turn(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    strategies = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*strategies).map(lambda texts: " ".join(" ".join(texts).split()))


# What is right comes often, so that not everything is wrong in more than one way.
TABLE = any_of(*["tasks"] * 12, "tasks others", "tasks AS tasks", "ONLY tasks", "public.tasks", '"tasks"')
ALL_COLUMNS = ", ".join(f"tasks.{column.name}" for column in TASKS.columns)
COLUMNS = any_of(
    *[ALL_COLUMNS] * 3, "tasks.title", "max(tasks.title)", "others.title", "(SELECT max(title) FROM tasks)"
)
CHANGES = some_of(
    *("title = %(title)s", "completed = NOT tasks.completed", "user_id = 'bob'", "(user_id, title) = ('bob', 'x')"),
    *("title = (SELECT max(title) FROM tasks)", "title = others.title", "USER_ID = 'bob'"),
    least=1,
    between=", ",
)
CONDITIONS = in_turn(
    any_of(*[OWNER] * 8, f"{OWNER}::VARCHAR", f"NOT {OWNER}", "tasks.user_id = tasks.user_id", "true"),
    some_of(
        *("AND tasks.id = %(task_id)s", "AND true", "AND NOT tasks.completed", "AND tasks.title LIKE 'planted'"),
        *("OR true", "AND true or true", "AND (true OR true)", "IS NOT NULL", "= true", "<> true", "IS NULL"),
        *(
            "AND tasks.id IN (SELECT id FROM tasks)",
            "AND true UNION ALL TABLE tasks",
            "|| 'x' <> ''",
            "AND others.id <> id",
        ),
    ),
)
TAIL = some_of(
    *("ORDER BY 1", "LIMIT 9", "FOR UPDATE", "GROUP BY 1", "UNION ALL TABLE tasks", "-- x"),
    *("UNION ALL SELECT * FROM tasks", "EXCEPT SELECT 'x'", "UNION ALL VALUES ('x')", "; TABLE tasks"),
    *("RETURNING tasks.title", "RETURNING *", "RETURNING (SELECT max(title) FROM tasks)"),
)
STATEMENTS = st.one_of(
    in_turn(
        *("SELECT", COLUMNS, "FROM", TABLE),
        *(any_of(*[""] * 6, ", tasks others", "JOIN tasks others ON true"), "WHERE", CONDITIONS, TAIL),
    ),
    in_turn("UPDATE", TABLE, "SET", CHANGES, any_of(*[""] * 4, "FROM tasks others"), "WHERE", CONDITIONS, TAIL),
    in_turn("DELETE FROM", TABLE, any_of(*[""] * 4, "USING tasks others"), "WHERE", CONDITIONS, TAIL),
    in_turn(
        "INSERT INTO tasks",
        any_of("(user_id, title)", "(title, user_id)", "(title, description)"),
        "VALUES",
        any_of("(%(owner)s, %(title)s)", "(%(title)s, %(owner)s)", "('bob', 'x')", "(%(owner)s, 'x'), ('bob', 'x')"),
        any_of("", "ON CONFLICT DO NOTHING", "ON CONFLICT (id) DO UPDATE SET title = 'x'"),
        TAIL,
    ),
)


@pytest.fixture
def two_owners(empty_database_url: str) -> Iterator[psycopg.Connection]:
    upgrade(create_migration_engine(empty_database_url))
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        for owner, task_id in (("ann", MINE), ("bob", HIS)):
            connection.execute(
                "insert into tasks (id, user_id, title) values (%s, %s, %s)", [task_id, owner, f"planted-{owner}"]
            )
        yield connection


def test_what_passes_meets_no_row_of_anybody_else(two_owners: psycopg.Connection) -> None:
    passed: Counter[str] = Counter()
    values = {"owner": "ann", "task_id": HIS, "title": "x"}
    his = "select * from tasks where user_id <> 'ann'"
    before = two_owners.execute(his).fetchall()

    @settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
    @given(STATEMENTS)
    def attempt(statement: str) -> None:
        if not keeps_to_its_owner(statement):
            return
        passed["the guard"] += 1
        with contextlib.suppress(psycopg.Error), two_owners.transaction(force_rollback=True):
            answer = two_owners.execute(statement.encode(), values)
            passed["the server"] += 1
            assert "planted-bob" not in str(answer.fetchall() if answer.description else ())
            assert two_owners.execute(his).fetchall() == before

    attempt()
    assert passed["the guard"] >= passed["the server"] > EXAMPLES / 20
