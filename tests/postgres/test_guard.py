"""The guard: a serving connection sends only the texts on its list, whoever built the others."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlmodel import bindparam, col, select, update

from adapters.postgres import statements
from adapters.postgres.connections.connection import Connection, Connector
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from adapters.postgres.gateway import TaskGateway
from adapters.postgres.schema.readiness import COLUMNS, FACTS
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from adapters.postgres.table import TaskRow
from domain.errors import OwnershipViolation
from domain.listing import Order
from domain.task import UserId
from entrypoints.container import Container
from entrypoints.settings import Settings
from tests.conftest import LoggedLines
from tests.databases import own_database
from tests.executors import SERVING
from tests.postgres.wire import Wire, tapped

Driver = psycopg.AsyncConnection[Any]

SECRET = "planted-of-bob"  # noqa: S105 - planted, and searched for
VALUES = {"owner": "alice", "d": SECRET}
TABLE = "select * from tasks"
# The owner's condition is in a sub-select, so this changes everybody's rows.
OWNER_WITHIN = str(
    update(TaskRow)
    .values(
        description=select(bindparam("d"))
        .where(col(TaskRow.user_id) == bindparam("owner"))
        .correlate(TaskRow)
        .scalar_subquery()
    )
    .compile(dialect=PGDialect_psycopg())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
)
# `task_view`, `all_tasks` and `one_title` are a view and functions over tasks.
HARMFUL = [
    TABLE,
    "table tasks",
    "select title from only public.tasks",
    'select title from U&"t\\0061sks"',
    "copy tasks to stdout",
    OWNER_WITHIN,
    "update tasks set title = 'x'",
    "update tasks set user_id = %(owner)s",
    "delete from tasks",
    "truncate tasks",
    "drop schema public cascade",
    "select most_common_vals::text from pg_stats where tablename = 'tasks'",
    "select title from task_view",
    "select * from all_tasks()",
    "select * from one_title()",
    "select word from ts_stat('select to_tsvector(''simple'', title) from tasks')",
    "select word from ts_stat(concat('select to_tsvector(''simple'', title) from ta', 'sks'))",
    "do $$ begin execute 'delete from ta' || 'sks'; end $$",
    "merge into tasks using tasks s on tasks.id = s.id when matched then delete",
    "with gone as (delete from tasks returning title) select title from gone",
    "insert into tasks (user_id, title) values ('bob', 'x')",
    "grant select on tasks to public",
    "alter table tasks disable row level security, alter column title drop not null",
    f"{statements.GET.text} OR true",
    f"{statements.GET.text} UNION ALL {statements.GET.text.partition(' WHERE')[0]}",
    f"{statements.GET.text.replace('tasks.user_id = %(owner)s::VARCHAR AND tasks.id = %(task_id)s::UUID', 'true')}",
    f"{TABLE} where user_id = %(owner)s or true",
    "select (select max(title) from tasks), '{}' where 'alice' = %(owner)s",
]
DIFFERENT_SPELLINGS = [
    statements.GET.text.lower(),
    f"{statements.GET.text} ",
    f" {statements.GET.text}",
    f"{statements.GET.text};",
    f"{statements.GET.text} -- more",
    statements.GET.text.replace("%(owner)s", "%(task_id)s"),
    statements.GET.text.replace("%(owner)s", "%(owner)b"),
    statements.GET.text.replace(" ", "\n"),
    "select 1",
    "show all",
    "select * from alembic_version",
    "",
]


@pytest.fixture(scope="module")
def two_users_url(server_url: str) -> Iterator[str]:
    """A database with tasks of alice and of bob, a view and functions over them, and statistics."""
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "create view task_view as select * from tasks;"
                " create function all_tasks() returns setof tasks language sql as 'select * from tasks';"
                " create function one_title() returns text language plpgsql as"
                " $$ begin return (select max(title) from tasks); end $$"
            )
            insert = "insert into tasks (user_id, title) select %s, %s from generate_series(1, 50)"
            for row in (("alice", "hers"), ("bob", SECRET)):
                connection.execute(insert, row)
            connection.execute("analyze tasks")
        yield url


@pytest.fixture
def out_of_band(two_users_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(two_users_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def wire(two_users_url: str) -> Iterator[Wire]:
    with tapped(two_users_url) as wire:
        yield wire


@pytest.fixture
async def serving(wire: Wire) -> AsyncIterator[Connection]:
    connection = await Connector(wire.url, SERVING).open()
    yield connection
    await connection.close()


def driver_of(connection: Connection) -> Driver:
    return connection._driver  # noqa: SLF001 - past our class, to everything that the driver can do


def everything(connection: psycopg.Connection) -> list[Any]:
    """All rows with their last transactions, and the schema."""
    return [
        connection.execute(query).fetchall()
        for query in (
            "select xmin::text, tasks::text from tasks order by id",
            "select oid, relacl::text, relrowsecurity from pg_class where relnamespace = 'public'::regnamespace",
            "select attname, attnotnull from pg_attribute where attrelid = 'tasks'::regclass order by attnum",
        )
    ]


@pytest.mark.parametrize("text", HARMFUL)
def test_each_harmful_text_would_do_harm_unguarded(out_of_band: psycopg.Connection, text: str) -> None:
    before, shown = everything(out_of_band), b""
    try:
        with out_of_band.transaction(force_rollback=True):
            cursor = out_of_band.cursor()
            values = VALUES | {"task_id": None} if "%(" in text else None
            if text.startswith("copy"):
                with cursor.copy(text.encode()) as copy:
                    shown = b"".join(bytes(data) for data in copy)
            else:
                cursor.execute(text.encode(), values)
                shown = str(cursor.fetchall()).encode() if cursor.description else b""
            changed = everything(out_of_band) != before
    except psycopg.errors.UndefinedTable:  # the text has dropped it
        changed = True
    assert changed or SECRET.encode() in shown


@pytest.mark.parametrize("text", [*HARMFUL, *DIFFERENT_SPELLINGS])
async def test_texts_not_on_the_list_are_refused(
    serving: Connection, wire: Wire, out_of_band: psycopg.Connection, text: str
) -> None:
    before = everything(out_of_band)
    wire.clear()
    for is_read in (True, False):
        with pytest.raises(OwnershipViolation, match=r"^a statement that is not on the list was not sent$"):
            await serving.execute(Statement(text, is_read=is_read), VALUES)
    assert wire.statements == []
    assert everything(out_of_band) == before


async def _stream(driver: Driver, text: str) -> None:
    async for _ in driver.cursor().stream(text.encode()):
        pass


async def _copy(driver: Driver, text: str) -> None:
    async with driver.cursor().copy(text.encode()):
        pass


async def _through_a_server_cursor(driver: Driver, text: str) -> None:
    async with driver.transaction(), driver.cursor("x") as cursor:
        await cursor.execute(text.encode())


async def _pipelined(driver: Driver, text: str) -> None:
    async with driver.pipeline():
        await driver.execute(text.encode())


SENDERS: dict[str, Callable[[Driver, str], Awaitable[Any]]] = {
    "text": lambda driver, text: driver.execute(text),
    "bytes": lambda driver, text: driver.execute(text.encode()),
    "composable": lambda driver, text: driver.execute(sql.SQL(text)),
    "composed": lambda driver, text: driver.execute(sql.Composed([sql.SQL(text)])),
    "prepared": lambda driver, text: driver.execute(text.encode(), prepare=True),
    "binary": lambda driver, text: driver.execute(text.encode(), binary=True),
    "cursor": lambda driver, text: driver.cursor(row_factory=psycopg.rows.dict_row).execute(text.encode()),
    "many": lambda driver, text: driver.cursor().executemany(text.encode(), [{"owner": "alice"}, {"owner": "bob"}]),
    "stream": _stream,
    "copy": _copy,
    "server's cursor": _through_a_server_cursor,
    "pipeline": _pipelined,
}


OURS = statements.GET.text
SENT = [
    (sender, text)
    for sender in SENDERS
    for text in (TABLE, "delete from tasks", OURS)
    if (sender, text) != ("text", OURS)
]


@pytest.mark.parametrize(("sender", "text"), SENT)
async def test_every_way_to_send_obeys_the_list(
    serving: Connection, wire: Wire, out_of_band: psycopg.Connection, sender: str, text: str
) -> None:
    before = everything(out_of_band)
    wire.clear()
    with pytest.raises(OwnershipViolation, match="was not sent"):
        await SENDERS[sender](driver_of(serving), text)
    assert [statement for statement in wire.statements if statement not in ("BEGIN", "ROLLBACK")] == []
    assert everything(out_of_band) == before


async def test_texts_on_the_list_are_sent(serving: Connection) -> None:
    (row, *_) = await serving.execute(statements.LIST[False, False, Order.NEWEST], {"owner": "bob", "limit": 1})
    assert row[0] == "bob"
    assert await serving.execute(FACTS, COLUMNS)


async def test_a_refusal_does_not_cost_the_connection(serving: Connection) -> None:
    for _ in range(3):
        with contextlib.suppress(OwnershipViolation):
            await serving.execute(Statement(TABLE, is_read=True), {})
        assert serving.is_idle()
        assert await serving.execute(statements.COUNT, {"owner": "bob"}) == [("bob", 50, 0)]


async def test_the_running_service_sends_only_the_list(wire: Wire) -> None:
    container = Container()
    container.settings.override(Settings.load(database_url=wire.url))
    database = container.database()
    for text in HARMFUL:
        with pytest.raises(OwnershipViolation):
            await database.run(Statement(text, is_read=True), VALUES)
    for statement in SERVING:
        with contextlib.suppress(psycopg.Error):  # it is sent, though without its values
            await database.run(statement, {"owner": "alice"} | COLUMNS)
    await database.close()
    assert not [text for text in HARMFUL if any(text in statement for statement in wire.statements)]


async def test_a_refusal_is_logged(database: DatabaseExecutor, alice: UserId, logged: LoggedLines) -> None:
    with pytest.raises(OwnershipViolation) as raised:
        await TaskGateway(database).run("get", Statement(TABLE, is_read=True), alice, None, {})
    assert "tasks" not in str(raised.value)
    (line,) = logged()
    assert (line["event"], line["outcome"], line["level"]) == ("database", "OwnershipViolation", "warning")
