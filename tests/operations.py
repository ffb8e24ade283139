"""Every operation on tasks, as requests. What must hold for all of them is tested with these lists."""

from typing import NamedTuple

from tests.planted import PLANTED


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
"""By name; the path follows the task's own."""
READS = {"get", "head"}
CHANGES = {name: request for name, request in ON_ONE.items() if name not in READS}
NOT_HEAD = {name: request for name, request in ON_ONE.items() if name != "head"}
"""Whose problems have a body."""
ON_ALL = {
    "create": Request("POST", "", _BODY),
    "list": Request("GET", ""),
}
"""By name; the path follows `/v1/tasks`."""
