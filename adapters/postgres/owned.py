"""The root of every statement on tasks: here alone one is begun, and each binds its owner and returns it."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    delete,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import Executable

from adapters.postgres.table import TaskRow

_TASKS: Final = TaskRow.metadata.tables["tasks"]
COLUMN: Final = _TASKS.c
OWNED: Final = COLUMN.user_id == bindparam("owner", type_=COLUMN.user_id.type)

# The owner comes first, so that the mapping can compare it before it looks at the rest.
RETURNED: Final = (
    COLUMN.user_id,
    COLUMN.id,
    COLUMN.title,
    COLUMN.description,
    COLUMN.completed,
    COLUMN.created_at,
    COLUMN.updated_at,
)

# Strictly later than before, even where the clock stands still or steps back. The detour through UTC keeps the sum
# independent of the session's time zone: a distributed PostgreSQL accepts only immutable functions over a column.
_LATER: Final[ColumnElement[Any]] = literal_column(
    "greatest(now(), ((updated_at at time zone 'UTC') + interval '1 microsecond') at time zone 'UTC')"
)


def insert_owned(fields: Mapping[str, BindParameter[Any]], *, unless_there: bool) -> Executable:
    """`unless_there` names no conflict target: which key refuses the row is not the statement's business."""
    statement = insert(_TASKS).values(user_id=bindparam("owner"), **fields)
    return (statement.on_conflict_do_nothing() if unless_there else statement).returning(*RETURNED)


def select_owned(*conditions: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return select(*RETURNED).where(OWNED, *conditions)


def update_owned(changed: Mapping[str, ColumnElement[Any]], *conditions: ColumnElement[bool]) -> Executable:
    return update(_TASKS).where(OWNED, *conditions).values(**changed, updated_at=_LATER).returning(*RETURNED)


def delete_owned(*conditions: ColumnElement[bool]) -> Executable:
    return delete(_TASKS).where(OWNED, *conditions).returning(*RETURNED)
