"""Every SQL statement on tasks: written with SQLModel, scoped to an owner, compiled once."""

import re
from itertools import combinations, product
from typing import Any, Final

from sqlalchemy import ARRAY, BindParameter, ColumnClause, ColumnElement, Delete, Insert, Select, Update, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlmodel import any_, bindparam, col, delete, literal_column, select, tuple_, update

from adapters.postgres.connections.guard import Statement
from adapters.postgres.table import TaskRow
from domain.listing import Order
from domain.rules import FIELDS

TaskStatement = Select[*tuple[Any, ...]] | Insert | Update | Delete

_TYPES: Final = {column.key: column.type for column in TaskRow.metadata.tables["tasks"].c}
_OWNER: Final = bindparam("owner", type_=_TYPES["user_id"])
_OWNED: Final = col(TaskRow.user_id) == _OWNER
# The owner comes first, and is compared before the rest of the row is read.
COLUMN_NAMES: Final = ("user_id", "id", *FIELDS, "created_at", "updated_at")
_COLUMNS: Final = tuple(col(getattr(TaskRow, name)) for name in COLUMN_NAMES)

# Strictly greater than before, even if the clock stands still or steps back. The detour through UTC makes the sum
# independent of the session's time zone: a distributed PostgreSQL accepts only immutable functions over a column.
_NEXT_VERSION: Final[ColumnClause[Any]] = literal_column(
    "greatest(now(), ((updated_at at time zone 'UTC') + interval '1 microsecond') at time zone 'UTC')"
)


# The only forms of a statement on tasks; a bulk change is one of them inside a count. The owner is the first column and
# the first condition. Nothing after it can undo it: no OR, no second SELECT, no other table, no function that reads.
_VALUE: Final = r"%\(\w+\)s(?:::(?:TIMESTAMP WITH TIME ZONE|[A-Z]+)(?:\[\])?)?"
_WORDS: Final = rf"(?:{_VALUE}|tasks\.\w+|(?:AND|ANY|ASC|BY|DESC|LIMIT|NOT|ORDER)\b|[ (),<=>])*"
_COUNT: Final = r"count\(\*\) FILTER \(WHERE (?:NOT )?tasks\.completed\) AS \w+"
_CHANGE: Final = rf"(?:{'|'.join(FIELDS)})=(?:{_VALUE}|NOT tasks\.completed), "
_OWNER_PARAMETER: Final = r"%\(owner\)s::VARCHAR"
_FORMS: Final = re.compile(
    rf"SELECT tasks\.user_id,{_WORDS}(?:{_COUNT}(?:, )?)* FROM tasks"  # noqa: S608 - a pattern
    rf" WHERE tasks\.user_id = {_OWNER_PARAMETER}(?: (?:AND|GROUP|ORDER)\b{_WORDS})?"
    rf"|(?:DELETE FROM tasks|UPDATE tasks SET (?:{_CHANGE})+updated_at={re.escape(_NEXT_VERSION.name)})"
    rf" WHERE tasks\.user_id = {_OWNER_PARAMETER}(?: AND\b{_WORDS})? RETURNING tasks\.user_id\b{_WORDS}"
    rf"|INSERT INTO tasks \(id, user_id(?:, \w+)*\) VALUES \({_VALUE}, {_OWNER_PARAMETER}(?:, {_VALUE})*\)"
    rf"(?: ON CONFLICT DO NOTHING)? RETURNING tasks\.user_id\b{_WORDS}"
)


def compiled(statement: TaskStatement) -> Statement:
    """Compile the statement. Raises `ValueError` unless it binds the owner of each row that it reads or writes."""
    text = _text(statement)
    if not _FORMS.fullmatch(text):
        raise ValueError(f"a statement on tasks must bind their owner: {text}")
    return Statement(text, is_read=isinstance(statement, Select))


def _compiled_with_count(statement: Update | Delete) -> Statement:
    """Compile a change that returns one row, the owner and the number of changed rows, or no row if none changed."""
    statement = statement.returning(col(TaskRow.user_id))
    compiled(statement)
    changed = statement.cte("changed")
    owner = changed.c.user_id
    return Statement(_text(select(owner, func.count()).where(owner == _OWNER).group_by(owner)), is_read=False)


def _text(statement: TaskStatement) -> str:
    text = str(statement.compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    return " ".join(text.split())


def _parameter(name: str) -> BindParameter[Any]:
    return bindparam(name, type_=_TYPES[name])


_THIS_TASK: Final = col(TaskRow.id) == bindparam("task_id", type_=_TYPES["id"])
_EXPECTED: Final = col(TaskRow.updated_at) == any_(bindparam("expected", type_=ARRAY(_TYPES["updated_at"])))
_TASK_CONDITIONS: Final = {False: (_OWNED, _THIS_TASK), True: (_OWNED, _THIS_TASK, _EXPECTED)}
"""The conditions for one task, by whether a version is expected."""
_IN_STATE: Final = col(TaskRow.completed) == _parameter("completed")


def _update(values: dict[str, ColumnElement[Any]], *conditions: ColumnElement[bool]) -> Update:
    return update(TaskRow).where(*conditions).values(**values, updated_at=_NEXT_VERSION)


def _update_or_read(fields: tuple[str, ...], *conditions: ColumnElement[bool]) -> Statement:
    """An update of no field changes nothing: it only reads the task."""
    if not fields:
        return compiled(select(*_COLUMNS).where(*conditions))
    return compiled(_update({name: _parameter(name) for name in fields}, *conditions).returning(*_COLUMNS))


def _list(*, after: bool, completed: bool, order: Order) -> Statement:
    place = tuple_(col(TaskRow.created_at), col(TaskRow.id))
    position = tuple_(
        bindparam("after_created_at", type_=_TYPES["created_at"]),
        bindparam("after_id", type_=_TYPES["id"]),
    )
    newest = order is Order.NEWEST
    conditions = [_OWNED, *([_IN_STATE] if completed else ())]
    if after:
        conditions.append(place < position if newest else place > position)
    by = [column.desc() if newest else column.asc() for column in (col(TaskRow.created_at), col(TaskRow.id))]
    return compiled(select(*_COLUMNS).where(*conditions).order_by(*by).limit(bindparam("limit")))


_NEW: Final = insert(TaskRow).values(
    user_id=_OWNER, id=bindparam("task_id"), **{name: _parameter(name) for name in FIELDS}
)
ADD: Final = compiled(_NEW.returning(*_COLUMNS))
# It names no conflict target, since a distributed table has another primary key.
ADD_ONCE: Final = compiled(_NEW.on_conflict_do_nothing().returning(*_COLUMNS))
GET: Final = compiled(select(*_COLUMNS).where(_OWNED, _THIS_TASK))
LIST: Final = {
    (after, completed, order): _list(after=after, completed=completed, order=order)
    for after, completed, order in product((False, True), (False, True), Order)
}
"""By whether there is a position, whether there is a state, and by order."""
COUNT: Final = compiled(
    select(
        col(TaskRow.user_id),
        func.count().filter(~col(TaskRow.completed)),
        func.count().filter(col(TaskRow.completed)),
    )
    .where(_OWNED)
    .group_by(col(TaskRow.user_id))
)
UPDATE: Final = {
    (fields, expects): _update_or_read(fields, *_TASK_CONDITIONS[expects])
    for size in range(len(FIELDS) + 1)
    for fields in combinations(FIELDS, size)
    for expects in _TASK_CONDITIONS
}
"""By the fields that change, in the domain's order, and by whether a version is expected."""
TOGGLE: Final = {
    expects: compiled(_update({"completed": ~col(TaskRow.completed)}, *which).returning(*_COLUMNS))
    for expects, which in _TASK_CONDITIONS.items()
}
DELETE: Final = {
    expects: compiled(delete(TaskRow).where(*which).returning(*_COLUMNS)) for expects, which in _TASK_CONDITIONS.items()
}
"""TOGGLE and DELETE: by whether a version is expected."""
UPDATE_ALL: Final = _compiled_with_count(_update({"completed": bindparam("to")}, _OWNED, _IN_STATE))
DELETE_ALL: Final = _compiled_with_count(delete(TaskRow).where(_OWNED, _IN_STATE))

ALL: Final = (
    *(ADD, ADD_ONCE, GET, COUNT, UPDATE_ALL, DELETE_ALL),
    *(*LIST.values(), *UPDATE.values(), *TOGGLE.values(), *DELETE.values()),
)
