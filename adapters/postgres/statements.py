"""Every SQL statement on tasks, built once. `owned` begins each of them, so none can be without its owner."""

from itertools import combinations, product
from typing import Any, Final

from sqlalchemy import ARRAY, BindParameter, ColumnElement, any_, bindparam, not_, tuple_
from sqlalchemy.sql import Executable

from adapters.postgres.owned import COLUMN, delete_owned, insert_owned, select_owned, update_owned

_THIS: Final = COLUMN.id == bindparam("task_id", type_=COLUMN.id.type)
_EXPECTED: Final = COLUMN.updated_at == any_(bindparam("expected", type_=ARRAY(COLUMN.updated_at.type)))
_WHICH: Final = {False: (_THIS,), True: (_THIS, _EXPECTED)}
"""By whether a version is expected."""


def _given(*fields: str) -> dict[str, BindParameter[Any]]:
    return {field: bindparam(field, type_=COLUMN[field].type) for field in fields}


_NEW: Final = {"id": bindparam("task_id"), **_given("title", "description", "completed")}
ADD: Final = insert_owned(_NEW, unless_there=False)
ADD_ONCE: Final = insert_owned(_NEW, unless_there=True)
GET: Final = select_owned(_THIS)


def _list(*, after: bool, completed: bool, newest: bool) -> Executable:
    conditions: list[ColumnElement[bool]] = []
    if completed:
        conditions.append(COLUMN.completed == bindparam("completed", type_=COLUMN.completed.type))
    if after:
        position = (
            bindparam("after_created_at", type_=COLUMN.created_at.type),
            bindparam("after_id", type_=COLUMN.id.type),
        )
        place = tuple_(COLUMN.created_at, COLUMN.id)
        conditions.append(place < tuple_(*position) if newest else place > tuple_(*position))
    order = [column.desc() if newest else column.asc() for column in (COLUMN.created_at, COLUMN.id)]
    return select_owned(*conditions).order_by(*order).limit(bindparam("limit"))


LIST: Final = {
    (after, completed, newest): _list(after=after, completed=completed, newest=newest)
    for after, completed, newest in product((False, True), repeat=3)
}
"""By whether a position and whether a state is asked for, and whether the newest come first."""

UPDATE: Final = {
    (*fields,): {conditional: update_owned(_given(*fields), *which) for conditional, which in _WHICH.items()}
    for size in (1, 2, 3)
    for fields in combinations(("title", "description", "completed"), size)
} | {(): {conditional: select_owned(*which) for conditional, which in _WHICH.items()}}
"""By the fields that change, in this order, and by whether a version is expected. Where none changes, nothing is."""

_FLIPPED: Final = {"completed": not_(COLUMN.completed)}
TOGGLE: Final = {conditional: update_owned(_FLIPPED, *which) for conditional, which in _WHICH.items()}
DELETE: Final = {conditional: delete_owned(*which) for conditional, which in _WHICH.items()}
"""By whether a version is expected."""
