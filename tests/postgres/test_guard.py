"""What does not bind the owner is not sent, whatever it is made with."""

from collections.abc import Callable
from typing import Any, cast

import psycopg
import pytest
from adapters.postgres.connections.engine import create_postgres_engine, driver_connection
from adapters.postgres.owned import COLUMN, OWNED
from psycopg import sql
from sqlalchemy import Connection, bindparam, delete, func, insert, literal, or_, select, text, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import StatementError
from sqlalchemy.sql import ClauseElement, Executable

from adapters.postgres.connections import guard
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import keeps_to_its_owner
from adapters.postgres.gateway import OwnedStatements
from adapters.postgres.table import TaskRow
from domain.errors import OwnershipViolation
from domain.task import UserId
from entrypoints.container import Container
from entrypoints.settings import Settings
from tests.conftest import LoggedLines
from tests.postgres.test_statements import ALL_STATEMENTS
from tests.postgres.wire import Wire

TASKS = TaskRow.metadata.tables["tasks"]
DIALECT = create_postgres_engine("postgresql://").dialect
OTHERS = TASKS.alias("others")


def sql_of(statement: Executable) -> str:
    return str(cast("ClauseElement", statement).compile(dialect=DIALECT))


@pytest.mark.parametrize("statement", ALL_STATEMENTS, ids=str)
def test_what_the_adapter_sends_passes(statement: Executable) -> None:
    assert keeps_to_its_owner(sql_of(statement))


@pytest.mark.parametrize(
    "harmless",
    ["select 1", "select version_num from alembic_version", "select pg_backend_pid()", "show transaction_read_only"],
)
def test_what_leaves_tasks_alone_passes(harmless: str) -> None:
    assert keeps_to_its_owner(harmless)


OWNERLESS: dict[str, Executable] = {
    "all": select(TASKS),
    "one": select(TASKS).where(COLUMN.id == bindparam("task_id")),
    "owner or": select(TASKS).where(or_(OWNED, COLUMN.completed)),
    "owner and or": select(TASKS).where(OWNED, or_(COLUMN.completed, COLUMN.title == bindparam("title"))),
    "not the owner": select(TASKS).where(~OWNED),
    "owner is known": select(TASKS).where(OWNED.is_not(None)),
    "owner of another name": select(TASKS).where(COLUMN.user_id == bindparam("user")),
    "owner in capitals": select(TASKS).where(COLUMN.user_id == bindparam("OWNER")),
    "owner made unique": select(TASKS).where(COLUMN.user_id == bindparam("owner", "x", unique=True)),
    "owner written out": select(TASKS).where(COLUMN.user_id == literal("alice", literal_execute=True)),
    "owner among": select(TASKS).where(COLUMN.user_id.in_(bindparam("owner", expanding=True))),
    "owner like": select(TASKS).where(COLUMN.user_id.like(bindparam("owner"))),
    "owner lowered": select(TASKS).where(func.lower(COLUMN.user_id) == bindparam("owner")),
    "owner and owner": select(TASKS).where(bindparam("owner") == bindparam("owner")),
    "column and column": select(TASKS).where(COLUMN.user_id == COLUMN.user_id),
    "owner of another column": select(TASKS).where(COLUMN.title == bindparam("owner")),
    "owner in the list": select(TASKS, OWNED),
    "owner in having": select(func.count(COLUMN.id)).group_by(COLUMN.user_id).having(OWNED),
    "owner in the order": select(TASKS).order_by(OWNED),
    "owner of an alias": select(OTHERS).where(OTHERS.c.user_id == bindparam("owner")),
    "owner of one of two": select(TASKS, OTHERS).where(OWNED),
    "join": select(TASKS).join(OTHERS, OTHERS.c.user_id == COLUMN.user_id).where(OWNED),
    "subquery": select(select(TASKS).where(OWNED).subquery()),
    "query within": select(TASKS).where(OWNED, COLUMN.id.in_(select(OTHERS.c.id))),
    "query in the list": select(TASKS, select(OTHERS.c.title).limit(1).scalar_subquery()).where(OWNED),
    "common table": select(select(TASKS).cte("mine")),
    "change in a common table": select(TASKS).where(OWNED).add_cte(delete(TASKS).cte("gone")),
    "union": select(TASKS).where(OWNED).union_all(select(TASKS)),
    "union of tables": select(TASKS).where(OWNED).suffix_with(text("UNION TABLE tasks")),
    "union in a hint": select(TASKS).where(OWNED).with_statement_hint("UNION SELECT * FROM tasks"),
    "only": select(TASKS).with_hint(TASKS, "ONLY").where(OWNED),
    "text in the condition": select(TASKS).where(OWNED, text("true) or (true")),
    "update of all": update(TASKS).values(title="x"),
    "update from": update(TASKS).where(OWNED, OTHERS.c.id == COLUMN.id).values(title=OTHERS.c.title),
    "update by a query": update(TASKS).where(OWNED).values(title=select(OTHERS.c.title).scalar_subquery()),
    "update of the owner": update(TASKS).where(OWNED).values(user_id=bindparam("other")),
    "update of the owner to the owner": update(TASKS).where(OWNED).values(user_id=bindparam("owner")),
    "update that returns more": update(TASKS)
    .where(OWNED)
    .values(title="x")
    .returning(select(OTHERS.c.title).scalar_subquery()),
    "delete of all": delete(TASKS),
    "delete by others": delete(TASKS).where(OWNED, OTHERS.c.id == COLUMN.id),
    "insert for nobody": insert(TASKS).values(title=bindparam("title")),
    "insert for another": insert(TASKS).values(user_id=bindparam("other"), title=bindparam("owner")),
    "insert from a query": insert(TASKS).from_select(["user_id", "title"], select(COLUMN.user_id, COLUMN.title)),
    "insert of two": insert(TASKS).values([{"user_id": "a", "title": "x"}, {"user_id": "b", "title": "y"}]),
    "insert or update": postgresql.insert(TASKS)
    .values(user_id=bindparam("owner"), title=bindparam("title"))
    .on_conflict_do_update(index_elements=["id"], set_={"title": "x"}),
    "insert that returns more": insert(TASKS)
    .values(user_id=bindparam("owner"), title=bindparam("title"))
    .returning(select(OTHERS.c.title).scalar_subquery()),
    "insert with a query": insert(TASKS).values(
        user_id=bindparam("owner"), title=select(OTHERS.c.title).scalar_subquery()
    ),
    "tuple": select(TASKS).where(tuple_(COLUMN.user_id, COLUMN.id) == tuple_(bindparam("owner"), bindparam("task_id"))),
}


@pytest.mark.parametrize("name", OWNERLESS)
def test_what_sqlalchemy_builds_without_the_owner_is_refused(name: str) -> None:
    assert not keeps_to_its_owner(sql_of(OWNERLESS[name]))


OWNED_ROWS = "SELECT tasks.title FROM tasks WHERE tasks.user_id = %(owner)s"


def test_more_conditions_may_follow_the_owner() -> None:
    assert keeps_to_its_owner(OWNED_ROWS)
    assert keeps_to_its_owner(f"{OWNED_ROWS} AND tasks.id = %(task_id)s")


@pytest.mark.parametrize(
    "more",
    [
        " AND true; COMMIT",
        " AND true -- AND false",
        " AND true /* AND false */",
        "; delete from tasks",
        " -- AND",
        " /* */ AND true",
        " AND true OR true",
        " AND true or true",
        " OR true",
        " IS NOT NULL",
        " || 'x'",
        " COLLATE x",
        "::text",
        " AND true UNION TABLE tasks",
        " AND true UNION SELECT title FROM tasks",
        " AND query_to_xml('ta' || 'ble x')",
        " AND query_to_xml($$x$$)",
        ' AND "x" = 1',
        " AND tasks\u00a0 = 1",
    ],
)
def test_nothing_that_could_widen_may_follow_the_owner(more: str) -> None:
    assert not keeps_to_its_owner(OWNED_ROWS + more)


@pytest.mark.parametrize(
    "ownerless",
    [
        "select * from tasks",
        "SELECT * FROM TASKS",
        'select * from "tasks"',
        'select * from U&"t\\0061sks"',
        "select * from U&\"!0074asks\" uescape '!'",
        "select * from public.tasks",
        "select * from only tasks",
        "table tasks",
        "copy tasks to stdout",
        "truncate tasks",
        "lock tasks",
        "merge into tasks using tasks s on true when matched then delete",
        "prepare p as select * from tasks",
        "explain analyze delete from tasks",
        "declare c cursor for select * from tasks",
        "do $$ begin execute 'delete from ta' || 'sks'; end $$",
        "do 'begin delete from audit; end'",
        "do 'begin end'",
        "select 1; delete from tasks",
        "select 1; select 2",
        "select 1 /* */ from audit",
        "select title from pg_\u017ftat",
        "select word from ts_stat(concat(chr(115), chr(101)))",
        "WITH x AS (DELETE FROM tasks) SELECT tasks.title FROM tasks WHERE tasks.user_id = %(owner)s",
        "SELECT x, (SELECT tasks.title FROM tasks WHERE tasks.user_id = %(owner)s)",
        "SELECT tasks.title FROM tasks WHERE true OR tasks.user_id = %(owner)s",
        "SELECT tasks.title FROM tasks WHERE NOT tasks.user_id = %(owner)s",
        "SELECT tasks.title FROM tasks WHERE (tasks.user_id = %(owner)s)",
        "SELECT tasks.title FROM tasks WHERE tasks.user_id = %(owner)b",
        "SELECT tasks.title FROM tasks WHERE tasks.user_id = %s",
        "SELECT tasks.title FROM tasks, tasks others WHERE tasks.user_id = %(owner)s",
        "SELECT tasks.title FROM other AS tasks WHERE tasks.user_id = %(owner)s",
        "SELECT tasks.title FROM tasks WHERE others.user_id = %(owner)s",
        "SELECT tasks.title FROM x.tasks WHERE tasks.user_id = %(owner)s",
        "SELECT query_to_xml('table tasks') FROM tasks WHERE tasks.user_id = %(owner)s",
        "SELECT query_to_xml(concat(chr(116), chr(97))) FROM tasks WHERE tasks.user_id = %(owner)s",
        "UPDATE tasks SET title = Query_To_Xml (%(title)s) WHERE tasks.user_id = %(owner)s",
        "INSERT INTO tasks (user_id) VALUES (%(owner)s) RETURNING query_to_xml(%(title)s)",
        "SELECT (SELECT 1 FROM audit) FROM tasks WHERE tasks.user_id = %(owner)s",
        "UPDATE tasks SET title = ' WHERE tasks.user_id = %(owner)s AND '",
        "UPDATE tasks SET title = 'x'",
        "UPDATE tasks SET title = x FROM audit WHERE tasks.user_id = %(owner)s",
        "UPDATE tasks SET USER_ID = %(other)s WHERE tasks.user_id = %(owner)s",
        "UPDATE tasks SET (user_id, title) = ROW(%(other)s, 'x') WHERE tasks.user_id = %(owner)s",
        "UPDATE tasks AS t SET title = 'x' WHERE tasks.user_id = %(owner)s",
        "DELETE FROM tasks USING tasks t WHERE tasks.user_id = %(owner)s",
        "INSERT INTO tasks (user_id, title) VALUES (%(other)s, %(owner)s)",
        "INSERT INTO tasks (title, user_id, id) VALUES (%(title)s,\n%(other)s, %(owner)s, %(id)s)",
        "INSERT INTO tasks (title, user_id, id) VALUES (%(t)s, %(owner)s, %(i)s), (%(t)s, %(other)s, %(i)s)",
        "INSERT INTO tasks (title) VALUES (%(owner)s)",
        "INSERT INTO tasks VALUES (%(owner)s)",
        "INSERT INTO tasks (user_id) VALUES (%(owner)s) ON CONFLICT (id) DO UPDATE SET title = 'x'",
        "INSERT INTO tasks (user_id) VALUES (%(owner)s) RETURNING (SELECT max(title) FROM audit)",
        "INSERT INTO tasks (user_id) SELECT %(owner)s",
        "INSERT INTO tasks TABLE tasks",
    ],
)
def test_text_without_the_owner_is_refused(ownerless: str) -> None:
    assert not keeps_to_its_owner(ownerless)


SENDERS: dict[str, Callable[[Connection], Any]] = {
    "statement": lambda connection: connection.execute(select(TASKS)),
    "text": lambda connection: connection.execute(text("select * from tasks")),
    "driver's SQL": lambda connection: connection.exec_driver_sql("select * from tasks"),
    "many": lambda connection: connection.execute(delete(TASKS).where(OWNED), [{"owner": "alice"}, {"owner": "bob"}]),
    "server's cursor": lambda connection: connection.execution_options(stream_results=True).execute(
        select(TASKS).where(OWNED), {"owner": "alice"}
    ),
    "driver": lambda connection: driver_connection(connection).execute("select * from tasks"),
    "bytes": lambda connection: driver_connection(connection).execute(b"select * from tasks"),
    "composed": lambda connection: driver_connection(connection).execute(sql.SQL("select * from tasks")),
    "driver's many": lambda connection: (
        driver_connection(connection).cursor().executemany("delete from tasks where user_id = %s", ["alice"])
    ),
    "stream": lambda connection: list(driver_connection(connection).cursor().stream("select * from tasks")),
    "copy": lambda connection: driver_connection(connection).cursor().copy("copy tasks to stdout").__enter__(),
    "driver's server cursor": lambda connection: driver_connection(connection).cursor("x"),
}


@pytest.mark.parametrize("name", SENDERS)
def test_what_is_refused_is_never_sent(wire: Wire, name: str) -> None:
    with create_postgres_engine(wire.url, prepared_statements="off", initialize=False).connect() as connection:
        assert connection.execute(text("select 1")).scalar() == 1
        wire.clear()
        with pytest.raises((OwnershipViolation, StatementError), match="was not sent"):  # SQLAlchemy wraps some
            SENDERS[name](connection)
        assert wire.statements == []


def test_the_service_itself_is_guarded(database_url: str) -> None:
    container = Container()
    container.settings.override(Settings.load(database_url=database_url))
    with container.engine().connect() as connection, pytest.raises(OwnershipViolation):
        connection.execute(select(TASKS))


async def test_a_refusal_is_a_defect_and_is_logged(
    database: DatabaseExecutor, alice: UserId, logged: LoggedLines
) -> None:
    with pytest.raises(OwnershipViolation) as raised:
        await OwnedStatements(database).run("get", select(TASKS), alice, None, {})
    assert "tasks" not in str(raised.value)
    (line,) = logged()
    assert (line["event"], line["outcome"], line["level"]) == ("database", "OwnershipViolation", "warning")


def test_a_statement_is_decided_upon_once(wire: Wire) -> None:
    keeps_to_its_owner.cache_clear()
    with create_postgres_engine(wire.url, prepared_statements="off", initialize=False).connect() as connection:
        for _ in range(3):
            connection.execute(text("select 1"))
    decided = keeps_to_its_owner.cache_info()
    assert (decided.misses, decided.hits) == (1, 2)


def test_only_so_many_decisions_are_kept() -> None:
    for number in range(2 * guard.DISTINCT_STATEMENTS):
        keeps_to_its_owner(f"select {number}")
    assert keeps_to_its_owner.cache_info().currsize == guard.DISTINCT_STATEMENTS


def test_the_guard_is_lifted_for_one_connection_alone(database_url: str) -> None:
    engine = create_postgres_engine(database_url, initialize=False)
    with engine.connect() as lifted, engine.connect() as guarded:
        guard.lift_guard(driver_connection(lifted))
        lifted.execute(text("select count(*) from tasks"))
        with driver_connection(lifted).transaction(), driver_connection(lifted).cursor("x") as cursor:
            assert isinstance(cursor, psycopg.ServerCursor)
        with pytest.raises(OwnershipViolation):
            guarded.execute(text("select count(*) from tasks"))
