"""The compiler of statements: it refuses each one that does not bind its owner."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Delete,
    Insert,
    Select,
    Update,
    and_,
    bindparam,
    column,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from adapters.postgres.statements import COLUMN_NAMES, TaskStatement, compiled
from adapters.postgres.table import TaskRow
from tests.databases import own_database
from tests.postgres.test_statements import NEXT_VERSION

EXAMPLES = 600
MINE, HIS = UUID(int=1, version=4), UUID(int=2, version=4)

TASKS = TaskRow.metadata.tables["tasks"]
OTHERS = TASKS.alias("others")
VIEW = table("task_view", column("user_id"), column("id"), column("title"))  # a view over all tasks
OWNED = TASKS.c.user_id == bindparam("owner")
DONE = TASKS.c.completed
COLUMNS = [TASKS.c[name] for name in COLUMN_NAMES]
HIS_TITLE = select(OTHERS.c.title).where(OTHERS.c.user_id != bindparam("owner")).limit(1).scalar_subquery()
ALL = select(*COLUMNS)
READ = ALL.where(OWNED)
WITH_VERSION: dict[str, Any] = {"updated_at": literal_column(NEXT_VERSION)}
CHANGE_ALL = update(TASKS).values(title=bindparam("title"), **WITH_VERSION).returning(*COLUMNS)
CHANGE = CHANGE_ALL.where(OWNED)
REMOVE_ALL = delete(TASKS).returning(*COLUMNS)
REMOVE = REMOVE_ALL.where(OWNED)
NEW: dict[str, Any] = {"id": bindparam("task_id"), "title": bindparam("title")}
MINE_NEW = insert(TASKS).values(user_id=bindparam("owner"), **NEW)
MAKE = MINE_NEW.returning(*COLUMNS)

OWNERLESS: dict[str, TaskStatement] = {
    "all": ALL,
    "one": ALL.where(TASKS.c.id == bindparam("task_id")),
    "owner or": ALL.where(or_(OWNED, DONE)),
    "owner and title or": ALL.where(or_(and_(OWNED, TASKS.c.title == bindparam("title")), DONE)),
    "owner and or": READ.where(or_(DONE, TASKS.c.title == bindparam("title"))),
    "not the owner": ALL.where(~OWNED),
    "owner is known": ALL.where(OWNED.is_not(None)),
    "owner of another name": ALL.where(TASKS.c.user_id == bindparam("user")),
    "owner in capitals": ALL.where(TASKS.c.user_id == bindparam("OWNER")),
    "owner made unique": ALL.where(TASKS.c.user_id == bindparam("owner", "x", unique=True)),
    "owner written out": ALL.where(TASKS.c.user_id == literal("alice", literal_execute=True)),
    "owner among": ALL.where(TASKS.c.user_id.in_(bindparam("owner", expanding=True))),
    "owner like": ALL.where(TASKS.c.user_id.like(bindparam("owner"))),
    "owner at least": ALL.where(TASKS.c.user_id >= bindparam("owner")),
    "owner lowered": ALL.where(func.lower(TASKS.c.user_id) == bindparam("owner")),
    "owner and owner": ALL.where(bindparam("owner") == bindparam("owner")),
    "column and column": ALL.where(TASKS.c.user_id == TASKS.c.user_id),
    "owner of another column": ALL.where(TASKS.c.title == bindparam("owner")),
    "owner in the list": select(*COLUMNS, OWNED),
    "owner in having": select(TASKS.c.user_id, func.count()).group_by(TASKS.c.user_id).having(OWNED),
    "owner in a filter": select(TASKS.c.user_id, func.count().filter(OWNED)).group_by(TASKS.c.user_id),
    "owner in the order": ALL.order_by(OWNED),
    "owner in a tuple": ALL.where(
        tuple_(TASKS.c.user_id, TASKS.c.title) == tuple_(bindparam("owner"), bindparam("title"))
    ),
    "owner in a case": ALL.where(literal_column("case when tasks.user_id = %(owner)s then true else true end")),
    "owner within": ALL.where(select(OTHERS.c.id).where(OTHERS.c.user_id == bindparam("owner")).exists()),
    "owner of an alias": select(OTHERS).where(OTHERS.c.user_id == bindparam("owner")),
    "owner of one of two": READ.add_columns(OTHERS.c.title),
    "owner not returned": select(TASKS.c.id, TASKS.c.title).where(OWNED),
    "owner returned late": select(TASKS.c.title, TASKS.c.user_id).where(OWNED),
    "value for the owner": select(bindparam("owner"), TASKS.c.title).where(OWNED),
    "join": READ.join(OTHERS, OTHERS.c.user_id == TASKS.c.user_id),
    "join of another table": READ.join(VIEW, VIEW.c.id != TASKS.c.id),
    "another table": READ.add_columns(VIEW.c.title),
    "another table only": select(VIEW.c.user_id, VIEW.c.title).where(VIEW.c.user_id == bindparam("owner")),
    "subquery": select(READ.subquery()),
    "query within": READ.where(TASKS.c.id.in_(select(OTHERS.c.id))),
    "query of another table within": READ.where(TASKS.c.id.in_(select(VIEW.c.id))),
    "query in the list": READ.add_columns(HIS_TITLE),
    "query of another table in the list": READ.add_columns(select(VIEW.c.title).limit(1).scalar_subquery()),
    "query in small letters": READ.add_columns(literal_column("(select max(title) from tasks)")),
    "function that reads": READ.add_columns(func.ts_stat(bindparam("title"))),
    "common table": select(READ.cte("mine")),
    "change in a common table": READ.add_cte(delete(TASKS).cte("gone")),
    "union of tables": READ.suffix_with(text("UNION TABLE tasks")),
    "union with another table": READ.suffix_with(text("UNION TABLE task_view")),
    "union in a hint": READ.with_statement_hint("UNION SELECT * FROM tasks"),
    "only": READ.with_hint(TASKS, "ONLY"),
    "or in a text": READ.where(text("true or true")),
    "or behind brackets": READ.where(text("true) or (true")),
    "comment": READ.where(text("true -- and false")),
    "second statement": READ.where(text("true; delete from tasks")),
    "row lock": READ.with_for_update(),
    "change of all": CHANGE_ALL,
    "change with owner and title or": CHANGE_ALL.where(or_(and_(OWNED, TASKS.c.title == bindparam("title")), DONE)),
    "change with owner or": CHANGE_ALL.where(or_(OWNED, DONE)),
    "change with the owner within a value": CHANGE_ALL.values(
        description=select(bindparam("d")).where(OWNED).correlate(TASKS).scalar_subquery()
    ),
    "change with a filter for the owner": CHANGE_ALL.values(completed=func.count().filter(OWNED) > literal_column("0")),
    "change from": CHANGE.where(OTHERS.c.id == TASKS.c.id),
    "change from another table": CHANGE.values(title=VIEW.c.title),
    "change by a query": CHANGE.values(title=HIS_TITLE),
    "change of the owner": CHANGE.values(user_id=bindparam("other")),
    "change of the owner to the owner": CHANGE.values(user_id=bindparam("owner")),
    "change of the id": CHANGE.values(id=bindparam("task_id")),
    "change that returns more": CHANGE.returning(HIS_TITLE),
    "change that returns nothing": update(TASKS).where(OWNED).values(title=bindparam("title"), **WITH_VERSION),
    "change that returns no owner": update(TASKS).where(OWNED).values(**WITH_VERSION).returning(TASKS.c.title),
    "removal of all": REMOVE_ALL,
    "removal with owner or": REMOVE_ALL.where(or_(OWNED, DONE)),
    "removal by others": REMOVE.where(OTHERS.c.id == TASKS.c.id),
    "removal by another table": REMOVE.where(VIEW.c.id != TASKS.c.id),
    "removal that returns more": REMOVE.returning(HIS_TITLE),
    "removal that returns nothing": delete(TASKS).where(OWNED),
    "new for nobody": insert(TASKS).values(NEW).returning(*COLUMNS),
    "new for another": insert(TASKS).values(user_id=bindparam("other"), **NEW).returning(*COLUMNS),
    "new for a title": insert(TASKS).values(user_id=bindparam("title"), **NEW).returning(*COLUMNS),
    "new for somebody": insert(TASKS).values(user_id=literal("bob"), **NEW).returning(*COLUMNS),
    "new for the owner of another": insert(TASKS).values(user_id=HIS_TITLE, **NEW).returning(*COLUMNS),
    "new from a query": insert(TASKS)
    .from_select(["id", "user_id", "title"], select(OTHERS.c.id, OTHERS.c.user_id, OTHERS.c.title))
    .returning(*COLUMNS),
    "two new": insert(TASKS)
    .values([{"user_id": bindparam("owner"), **NEW}, {"user_id": "bob", **NEW}])
    .returning(*COLUMNS),
    "new or changed": MINE_NEW.on_conflict_do_update(index_elements=["id"], set_={"title": "x"}).returning(*COLUMNS),
    "new or taken over": MINE_NEW.on_conflict_do_update(
        index_elements=["id"], set_={"user_id": bindparam("owner")}
    ).returning(*COLUMNS),
    "new that returns more": MAKE.returning(HIS_TITLE),
    "new that returns nothing": MINE_NEW,
    "new with a query": insert(TASKS)
    .values(user_id=bindparam("owner"), id=bindparam("task_id"), title=HIS_TITLE)
    .returning(*COLUMNS),
}


@pytest.mark.parametrize("statement", [READ, CHANGE, REMOVE, MAKE], ids=str)
def test_statements_that_bind_the_owner_compile(statement: TaskStatement) -> None:
    assert "%(owner)s" in compiled(statement).text


@pytest.mark.parametrize("name", OWNERLESS)
def test_statements_without_the_owner_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^a statement on tasks must bind their owner: "):
        compiled(OWNERLESS[name])


CONDITIONS = [
    *(OWNED, TASKS.c.id == bindparam("task_id"), DONE, ~DONE, TASKS.c.title == bindparam("title")),
    *(~OWNED, or_(OWNED, DONE), or_(DONE, ~DONE), OWNED.is_not(None), TASKS.c.user_id == TASKS.c.user_id),
    *(TASKS.c.user_id == bindparam("title"), TASKS.c.id.in_(select(OTHERS.c.id)), OTHERS.c.id != TASKS.c.id),
    *(text("true or true"), text("true) or (true"), text("NOT tasks.completed OR true"), text("tasks.id = tasks.id")),
    *(text("tasks.title = %(title)s::VARCHAR OR tasks.title <> %(title)s::VARCHAR"), text("%(owner)s = %(owner)s")),
    *(text("true -- x"), VIEW.c.id != TASKS.c.id),
]
RETURNABLE = [
    *([TASKS.c.user_id, TASKS.c.title], [TASKS.c.title], [TASKS.c.user_id, HIS_TITLE]),
    *(
        [TASKS.c.user_id, func.max(TASKS.c.title)],
        [TASKS.c.user_id, text("(table task_view)")],
        [TASKS.c.user_id, OTHERS.c.title],
    ),
    [TASKS.c.user_id, literal_column("(select max(title) from tasks)")],
]
VALUES: list[dict[str, Any]] = [
    *({"completed": ~DONE}, {"title": HIS_TITLE}, {"user_id": literal("bob")}),
    *({"title": VIEW.c.title}, {"title": literal_column("'x', user_id = 'bob'")}),
    {"completed": literal_column("true where true or true"), "title": bindparam("title")},
]
TAILS = [
    "UNION TABLE tasks",
    "UNION ALL SELECT * FROM task_view",
    "FOR UPDATE",
    "OR true",
    "-- x",
    "LIMIT 9",
    ", task_view",
]


def mostly(right: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Mostly `right`, so that few statements are wrong in more than one way."""
    return st.integers(0, 3).flatmap(lambda chance: st.sampled_from(others) if chance == 0 else st.just(right))


@st.composite
def statements(draw: st.DrawFn) -> TaskStatement:
    returned = draw(mostly(COLUMNS, *RETURNABLE))
    conditions = draw(mostly([OWNED], [])) + draw(st.lists(st.sampled_from(CONDITIONS), max_size=2))
    kind = draw(st.sampled_from([Select, Update, Delete, Insert]))
    if kind is Select:
        read: Select[Any] = select(*returned).where(*conditions)
        tail = draw(mostly(None, *TAILS))
        return read.suffix_with(text(tail)) if tail else read
    values = draw(mostly({"title": bindparam("title")}, *VALUES))
    if kind is Update:
        return update(TASKS).where(*conditions).values(**values, **WITH_VERSION).returning(*returned)
    if kind is Delete:
        return delete(TASKS).where(*conditions).returning(*returned)
    owner = draw(mostly(bindparam("owner"), literal("bob"), bindparam("title"), HIS_TITLE))
    new = insert(TASKS).values({**NEW, "user_id": owner, **values})
    return (new.on_conflict_do_nothing() if draw(st.booleans()) else new).returning(*returned)


@pytest.fixture(scope="module")
def two_owners(server_url: str) -> Iterator[psycopg.Connection]:
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create view task_view as select * from tasks")
            for owner, task_id in (("ann", MINE), ("bob", HIS)):
                connection.execute(
                    "insert into tasks (id, user_id, title) values (%s, %s, %s)", [task_id, owner, f"planted-{owner}"]
                )
            yield connection


def test_compiled_statements_never_touch_other_users_rows(two_owners: psycopg.Connection) -> None:
    counted: Counter[str] = Counter()
    values = {"owner": "ann", "task_id": HIS, "title": "x"}
    his = "select * from tasks where user_id <> 'ann'"
    before = two_owners.execute(his).fetchall()

    @settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
    @given(statements())
    def attempt(statement: TaskStatement) -> None:
        try:
            sent = compiled(statement).text
        except ValueError:
            counted["refused"] += 1
            return
        counted["compiled"] += 1
        with contextlib.suppress(psycopg.Error), two_owners.transaction(force_rollback=True):
            answer = two_owners.execute(sent.encode(), values)
            counted["run"] += 1
            rows = answer.fetchall()
            assert {row[0] for row in rows} <= {"ann"}
            assert "planted-bob" not in str(rows)
            assert two_owners.execute(his).fetchall() == before

    attempt()
    assert counted["run"] > EXAMPLES / 10
    assert counted["refused"] > EXAMPLES / 10
