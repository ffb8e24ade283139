"""Dozens of users at once, each using its own tasks and trying to reach all others': every answer is predicted.

A user sends one request at a time, and nobody else can change its tasks. So a model of these tasks predicts every
answer. MANY_USERS_STEPS and MANY_USERS_SEED make the test longer and different.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest

from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from tests.databases import own_database
from tests.operations import NOT_HEAD
from tests.planted import PLANTED
from tests.system.service import serving

STEPS = int(os.environ.get("MANY_USERS_STEPS", "15"))
SEED = os.environ.get("MANY_USERS_SEED", "1")
SETTINGS = {"WORKERS": "2", "DATABASE_CONNECTIONS": "4", "DATABASE_DEADLINE_SECONDS": "30"}
ALIKE = ("ann", "an n", "ann%", "%", "ann_", "_", "ann'", 'ann"', "ann\\", "ann;--", "$1", "%(owner)s")
USERS = [name + more for more in ("", "A", "a") for name in ALIKE]
KEYS = ("k", "K", "k%")
TITLES = tuple(f"{PLANTED} {title}" for title in ("x", "y", "%", "'; --"))
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"title": "z"},
    {"description": "z"},
    {"description": None},
    {"completed": True},
)
PROBLEM = "urn:taskward:problem:"


class Known(NamedTuple):
    """A task as its owner saw it at some time."""

    task: dict[str, Any]
    etag: str

    @property
    def position(self) -> tuple[datetime, UUID]:
        return datetime.fromisoformat(self.task["created_at"]), UUID(self.task["id"])


class SharedKnowledge:
    """What all users know of each other's tasks."""

    def __init__(self) -> None:
        self.known: list[Known] = []
        self.cursors: list[tuple[str, tuple[datetime, UUID]]] = []
        self.outcomes: Counter[str] = Counter()


class User:
    def __init__(self, name: str, shared: SharedKnowledge, client: httpx2.AsyncClient) -> None:
        self.name = name
        self.tasks: dict[str, Known] = {}
        self._shared = shared
        self._client = client
        self._keys: dict[str, str] = {}
        self._random = Random(f"{SEED} {name}")  # noqa: S311 - not for secrets

    async def live(self) -> None:
        acts = (self._create, self._create_once, self._read, self._change, self._change, self._delete, self._list)
        for _ in range(STEPS):
            await self._random.choice(acts)()
            await self._trespass()

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> httpx2.Response:
        answer = await self._client.request(
            method, f"/v1/tasks{path}", json=body, headers={"X-User-Id": self.name} | (headers or {}), params=query
        )
        self._shared.outcomes[f"{method} {answer.status_code}"] += 1
        return answer

    def _learn(self, answer: httpx2.Response, expected: dict[str, Any]) -> None:
        known = Known(answer.json(), answer.headers["etag"])
        assert known.task == known.task | expected
        self.tasks[known.task["id"]] = known
        self._shared.known.append(known)

    async def _create(self) -> None:
        body = {
            "title": self._random.choice(TITLES),
            "description": f"{PLANTED} of {self.name}",
            "completed": self._random.random() < 0.5,
        }
        answer = await self._ask("POST", "", body)
        assert answer.status_code == 201
        assert answer.json()["id"] not in {known.task["id"] for known in self._shared.known}
        self._learn(answer, {**body, "updated_at": answer.json()["created_at"]})

    async def _create_once(self) -> None:
        key = self._random.choice(KEYS)
        body = {
            "title": self._random.choice(TITLES[:2]),
            "description": f"{PLANTED} of {self.name}",
            "completed": False,
        }
        there = self.tasks.get(self._keys.get(key, ""))
        answer = await self._ask("POST", "", body, {"Idempotency-Key": key})
        if there is None:
            assert answer.status_code == 201
            assert answer.json()["id"] == self._keys.setdefault(key, answer.json()["id"])
            self._learn(answer, {**body, "updated_at": answer.json()["created_at"]})
        elif there.task == there.task | body or there.task["updated_at"] != there.task["created_at"]:
            assert (answer.status_code, Known(answer.json(), answer.headers["etag"])) == (200, there)
        else:
            assert answer.status_code == 422

    def _one(self) -> Known | None:
        return self._random.choice(list(self.tasks.values())) if self.tasks else None

    async def _read(self) -> None:
        if one := self._one():
            answer = await self._ask("GET", f"/{one.task['id']}")
            assert (answer.status_code, Known(answer.json(), answer.headers["etag"])) == (200, one)
            again = await self._ask("GET", f"/{one.task['id']}", headers={"If-None-Match": one.etag})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", one.etag)

    async def _change(self) -> None:
        if not (one := self._one()):
            return
        path, task = f"/{one.task['id']}", one.task
        change = self._random.choice(CHANGES)
        method, path, body, expected = self._random.choice(
            (
                ("PATCH", path, change, change),
                ("PUT", path, {"title": PLANTED}, {"title": PLANTED, "description": None, "completed": False}),
                ("POST", f"{path}/toggle", None, {"completed": not task["completed"]}),
            )
        )
        etag = self._random.choice([None, one.etag, self._random.choice(self._shared.known).etag])
        answer = await self._ask(method, path, body, {"If-Match": etag} if etag else {})
        if etag not in {None, one.etag}:
            assert (answer.status_code, answer.json()["type"]) == (412, f"{PROBLEM}precondition-failed")
            return
        assert answer.status_code == 200
        before, after = (datetime.fromisoformat(seen["updated_at"]) for seen in (task, answer.json()))
        assert after > before or body == {}
        self._learn(
            answer, task | expected | {"updated_at": answer.json()["updated_at"], "etag": answer.headers["etag"]}
        )
        assert (answer.headers["etag"] == one.etag) == (body == {})

    async def _delete(self) -> None:
        if one := self._one():
            answer = await self._ask("DELETE", f"/{one.task['id']}")
            assert (answer.status_code, answer.content) == (204, b"")
            del self.tasks[one.task["id"]]

    async def _list(self) -> None:
        limit = self._random.choice((1, 2, 3, 200))
        query, place = {"limit": str(limit)}, None
        if self._shared.cursors and self._random.random() < 0.7:
            query["cursor"], place = self._random.choice(self._shared.cursors[-40:])
        if state := self._random.choice(("", "true", "false")):
            query["completed"] = state
        expected = sorted(
            (
                known
                for known in self.tasks.values()
                if (place is None or known.position < place) and state in {"", str(known.task["completed"]).lower()}
            ),
            key=lambda known: known.position,
            reverse=True,
        )
        answer = await self._ask("GET", "", query=query)
        page = answer.json()
        assert page["items"] == [known.task for known in expected[:limit]]
        assert (page["next_cursor"] is not None) == (len(expected) > limit)
        if page["next_cursor"]:
            self._shared.cursors.append((page["next_cursor"], expected[limit - 1].position))

    async def _trespass(self) -> None:
        """Ask for another user's task, a deleted one or one that never was: 404, whatever the user knows of it."""
        foreign = [known for known in self._shared.known[-100:] if known.task["id"] not in self.tasks]
        known = self._random.choice(foreign) if foreign else Known({"id": str(uuid4())}, '"1"')
        method, path, body = self._random.choice(list(NOT_HEAD.values()))
        headers = self._random.choice(({}, {"If-Match": "*"}, {"If-Match": known.etag}, {"If-Match": '"1"'}))
        path = f"/{known.task['id']}{path}"
        answer = await self._ask(method, path, body, headers | {"X-Request-Id": "r"})
        assert (answer.status_code, answer.json()) == (
            404,
            {
                "type": f"{PROBLEM}task-not-found",
                "title": "Task not found",
                "status": 404,
                "detail": "You have no task with this id.",
                "instance": f"/v1/tasks{path}",
                "request_id": "r",
            },
        )


@pytest.fixture
def migrated_url(server_url: str) -> Iterator[str]:
    with own_database(server_url) as url:
        upgrade(create_migration_engine(url))
        yield url


async def test_every_user_sees_only_its_own_tasks(migrated_url: str) -> None:
    shared = SharedKnowledge()
    with serving(migrated_url, **SETTINGS) as (service, observer):
        async with httpx2.AsyncClient(base_url=observer.base_url, timeout=60, verify=False, trust_env=False) as client:
            users = [User(name, shared, client) for name in USERS]
            async with asyncio.TaskGroup() as together:
                for user in users:
                    together.create_task(user.live())
        assert service.end() == 0
    with psycopg.connect(migrated_url) as connection:
        rows = connection.execute("select user_id, id::text, title, description, completed from tasks").fetchall()
    fields = ("id", "title", "description", "completed")
    left = [(user.name, *(known.task[name] for name in fields)) for user in users for known in user.tasks.values()]
    assert sorted(rows) == sorted(left)
    assert len(left) > len(users)
    assert {
        "POST 200",
        "POST 201",
        "POST 422",
        "PATCH 412",
        "PUT 412",
        "GET 304",
        "DELETE 204",
    } <= shared.outcomes.keys()
