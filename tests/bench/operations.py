"""The five operations that are measured, as bytes that are ready to be sent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from tests.bench.database import Key


@dataclass(frozen=True)
class Api:
    """Where a server has its tasks."""

    tasks: str
    task: str


@dataclass(frozen=True)
class Operation:
    method: str
    status: int
    body: dict[str, object] | None = None
    is_about_one: bool = True
    is_final: bool = False

    def requests(self, api: Api, keys: list[Key]) -> Iterator[bytes]:
        """One for each key, over and over; where the task is gone after it, the key is taken away."""
        if self.is_final:
            return (self.request(api, keys.pop()) for _ in range(len(keys)))
        return cycle([self.request(api, key) for key in keys])

    def request(self, api: Api, key: Key) -> bytes:
        user, task_id = key
        path = api.task.format(task_id) if self.is_about_one else api.tasks
        head = f"{self.method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-User-Id: {user}\r\nAccept: application/json\r\n"
        if self.body is None:
            return f"{head}\r\n".encode()
        body = json.dumps(self.body)
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


OPERATIONS = {
    "create": Operation("POST", 201, {"title": "Buy milk", "description": "Oat, two litres"}, is_about_one=False),
    "read": Operation("GET", 200),
    "list": Operation("GET", 200, is_about_one=False),
    "patch": Operation("PATCH", 200, {"title": "Buy bread", "completed": True}),
    "delete": Operation("DELETE", 204, is_final=True),
}
