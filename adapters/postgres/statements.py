"""Every SQL statement on tasks, built once. Each is born from `OWNED`, so none is without its owner."""

from collections.abc import Iterable
from itertools import combinations, product
from typing import Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    any_,
    bindparam,
    delete,
    literal_column,
    not_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql import Executable

from adapters.postgres.table import TaskRow

TASKS: Final = TaskRow.metadata.tables["tasks"]
_COLUMN: Final = TASKS.c
OWNED: Final = _COLUMN.user_id == bindparam("owner", type_=_COLUMN.user_id.type)
_ONE: Final = (OWNED, _COLUMN.id == bindparam("task_id", type_=_COLUMN.id.type))
_EXPECTED: Final = _COLUMN.updated_at == any_(bindparam("expected", type_=ARRAY(_COLUMN.updated_at.type)))

# The owner comes first, so that the mapping can compare it before it looks at the rest.
RETURNED: Final = (
    _COLUMN.user_id,
    _COLUMN.id,
    _COLUMN.title,
    _COLUMN.description,
    _COLUMN.completed,
    _COLUMN.created_at,
    _COLUMN.updated_at,
)

# Strictly later than before, even where the clock stands still or steps back. The detour through UTC keeps the sum
# independent of the session's time zone: a distributed PostgreSQL accepts only immutable functions over a column.
_LATER: Final = literal_column(
    "greatest(now(), ((updated_at at time zone 'UTC') + interval '1 microsecond') at time zone 'UTC')",
    DateTime(timezone=True),
)


def _insert() -> Insert:
    return insert(TASKS).values(
        user_id=bindparam("owner"),
        id=bindparam("task_id"),
        title=bindparam("title"),
        description=bindparam("description"),
        completed=bindparam("completed"),
    )


ADD: Final[Executable] = _insert().returning(*RETURNED)
# Without a conflict target: which key refuses the row is not the statement's business.
ADD_ONCE: Final[Executable] = _insert().on_conflict_do_nothing().returning(*RETURNED)
GET: Final[Executable] = select(*RETURNED).where(*_ONE)


def _one(conditional: bool) -> tuple[ColumnElement[bool], ...]:
    return (*_ONE, _EXPECTED) if conditional else _ONE


def _update(fields: Iterable[str], conditional: bool) -> Executable:
    changed = {field: bindparam(field, type_=_COLUMN[field].type) for field in fields}
    return update(TASKS).where(*_one(conditional)).values(**changed, updated_at=_LATER).returning(*RETURNED)


def _toggle(conditional: bool) -> Executable:
    flipped = {"completed": not_(_COLUMN.completed), "updated_at": _LATER}
    return update(TASKS).where(*_one(conditional)).values(**flipped).returning(*RETURNED)


def _list(*, after: bool, completed: bool) -> Executable:
    statement = select(*RETURNED).where(OWNED)
    if completed:
        statement = statement.where(_COLUMN.completed == bindparam("completed", type_=_COLUMN.completed.type))
    if after:
        position = (
            bindparam("after_created_at", type_=_COLUMN.created_at.type),
            bindparam("after_id", type_=_COLUMN.id.type),
        )
        statement = statement.where(tuple_(_COLUMN.created_at, _COLUMN.id) < tuple_(*position))
    return statement.order_by(_COLUMN.created_at.desc(), _COLUMN.id.desc()).limit(bindparam("limit"))


UPDATE: Final = {
    (*fields,): {conditional: _update(fields, conditional) for conditional in (False, True)}
    for size in (1, 2, 3)
    for fields in combinations(("title", "description", "completed"), size)
} | {(): {conditional: select(*RETURNED).where(*_one(conditional)) for conditional in (False, True)}}
"""By the fields that change, in this order, and by whether a version is expected. Where none changes, nothing is."""

TOGGLE: Final = {conditional: _toggle(conditional) for conditional in (False, True)}
DELETE: Final = {
    conditional: delete(TASKS).where(*_one(conditional)).returning(*RETURNED) for conditional in (False, True)
}

LIST: Final = {
    (after, completed): _list(after=after, completed=completed) for after, completed in product((False, True), repeat=2)
}
"""By whether a position and whether a state is asked for."""
