"""Every SQL statement on tasks, built once. Each is born from `OWNED`, so none is without its owner."""

from collections.abc import Iterable
from itertools import combinations, product
from typing import Final

from sqlalchemy import DateTime, bindparam, delete, insert, literal_column, not_, select, tuple_, update
from sqlalchemy.sql import Executable

from adapters.postgres.table import TaskRow

TASKS: Final = TaskRow.metadata.tables["tasks"]
_COLUMN: Final = TASKS.c
OWNED: Final = _COLUMN.user_id == bindparam("owner", type_=_COLUMN.user_id.type)
_ONE: Final = (OWNED, _COLUMN.id == bindparam("task_id", type_=_COLUMN.id.type))

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

ADD: Final[Executable] = (
    insert(TASKS)
    .values(
        user_id=bindparam("owner"),
        id=bindparam("task_id"),
        title=bindparam("title"),
        description=bindparam("description"),
        completed=bindparam("completed"),
    )
    .returning(*RETURNED)
)
GET: Final[Executable] = select(*RETURNED).where(*_ONE)
TOGGLE: Final[Executable] = (
    update(TASKS).where(*_ONE).values(completed=not_(_COLUMN.completed), updated_at=_LATER).returning(*RETURNED)
)
DELETE: Final[Executable] = delete(TASKS).where(*_ONE).returning(*RETURNED)


def _update(fields: Iterable[str]) -> Executable:
    changed = {field: bindparam(field, type_=_COLUMN[field].type) for field in fields}
    return update(TASKS).where(*_ONE).values(**changed, updated_at=_LATER).returning(*RETURNED)


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
    fields: _update(fields)
    for size in (1, 2, 3)
    for fields in combinations(("title", "description", "completed"), size)
}
"""By the fields that change, in this order."""

LIST: Final = {
    (after, completed): _list(after=after, completed=completed) for after, completed in product((False, True), repeat=2)
}
"""By whether a position and whether a state is asked for."""
