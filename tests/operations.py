"""Every operation on tasks, as a call of the port and as a request, for tests of rules that all must keep."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from domain.idempotency import IdempotencyKey
from domain.listing import ListQuery, Order, Position
from domain.repository import TaskRepository
from domain.task import TaskChanges, TaskDraft, UserId, Versions
from tests.planted import PLANTED

METHODS = ("add", "get", "list", "count", "update", "toggle", "delete", "update_all", "delete_all")
"""The methods of the port."""

Call = Callable[[TaskRepository, UserId, UUID], Coroutine[Any, Any, object]]
Change = Callable[[TaskRepository, UserId, UUID, Versions | None], Coroutine[Any, Any, Any]]

_LATE = Position(datetime(2999, 1, 1, tzinfo=UTC), uuid4())
CALLS_THAT_CHANGE_ONE: dict[str, Change] = {
    "update one field": lambda tasks, owner, task_id, expected: tasks.update(
        owner, task_id, TaskChanges(title="New"), expected=expected
    ),
    "update all fields": lambda tasks, owner, task_id, expected: tasks.update(
        owner, task_id, TaskChanges("New", None, completed=True), expected=expected
    ),
    "update nothing": lambda tasks, owner, task_id, expected: tasks.update(
        owner, task_id, TaskChanges(), expected=expected
    ),
    "toggle": lambda tasks, owner, task_id, expected: tasks.toggle(owner, task_id, expected=expected),
    "delete": lambda tasks, owner, task_id, expected: tasks.delete(owner, task_id, expected=expected),
}


def _unconditional(change: Change) -> Call:
    return lambda tasks, owner, task_id: change(tasks, owner, task_id, None)


CALLS_ON_ONE_TASK: dict[str, Call] = {
    "get": lambda tasks, owner, task_id: tasks.get(owner, task_id),
    **{name: _unconditional(change) for name, change in CALLS_THAT_CHANGE_ONE.items()},
}
CALLS: dict[str, Call] = CALLS_ON_ONE_TASK | {
    "add": lambda tasks, owner, _: tasks.add(owner, TaskDraft("x")),
    "add once": lambda tasks, owner, _: tasks.add(owner, TaskDraft("x"), key=IdempotencyKey("k")),
    "list": lambda tasks, owner, _: tasks.list(owner),
    "list oldest": lambda tasks, owner, _: tasks.list(owner, ListQuery(order=Order.OLDEST)),
    "list after": lambda tasks, owner, _: tasks.list(owner, ListQuery(after=_LATE)),
    "list completed": lambda tasks, owner, _: tasks.list(owner, ListQuery(completed=True)),
    "list completed after": lambda tasks, owner, _: tasks.list(owner, ListQuery(completed=True, after=_LATE)),
    "count": lambda tasks, owner, _: tasks.count(owner),
    "update all": lambda tasks, owner, _: tasks.update_all(owner, completed=False, to=True),
    "delete all": lambda tasks, owner, _: tasks.delete_all(owner, completed=True),
}
CALLS_THAT_READ = {name for name in CALLS if name.startswith(("get", "list", "count"))} | {"update nothing"}


class Request(NamedTuple):
    method: str
    path: str
    body: object = None


_BODY = {"title": PLANTED, "description": PLANTED, "completed": True}
ON_ONE = {
    "get": Request("GET", ""),
    "head": Request("HEAD", ""),
    "put": Request("PUT", "", _BODY),
    "patch": Request("PATCH", "", _BODY),
    "patch nothing": Request("PATCH", "", {}),
    "toggle": Request("POST", "/toggle"),
    "delete": Request("DELETE", ""),
}
"""Requests on one task; the path follows the task's."""
READS = {"get", "head"}
CHANGES = {name: request for name, request in ON_ONE.items() if name not in READS}
NOT_HEAD = {name: request for name, request in ON_ONE.items() if name != "head"}
"""Requests whose problems have a body."""
ON_ALL = {
    "create": Request("POST", "", _BODY),
    "list": Request("GET", ""),
    "counts": Request("GET", "/counts"),
    "patch all": Request("PATCH", "?completed=false", {"completed": True}),
    "delete all": Request("DELETE", "?completed=true"),
}
"""Requests on the collection; the path follows `/v1/tasks`."""
