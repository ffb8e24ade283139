"""One user's whole journey: the fake and PostgreSQL give the same answers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from dependency_injector import providers

from domain.task import UserId
from entrypoints.container import Container
from entrypoints.settings import Settings
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of, located
from tests.operations import ON_ONE, Request


class Journey:
    @pytest.fixture
    def mine(self, alice: UserId) -> dict[str, str]:
        return {"X-User-Id": alice.value}

    @pytest.fixture
    def his(self, bob: UserId) -> dict[str, str]:
        return {"X-User-Id": bob.value}

    @pytest.fixture
    async def task(self, client: httpx2.AsyncClient, mine: dict[str, str]) -> dict[str, Any]:
        answer = await client.post("/v1/tasks", json={"title": " Buy milk\n", "description": " Oat "}, headers=mine)
        assert answer.status_code == 201
        created: dict[str, Any] = answer.json()
        return created

    async def test_create_answers_with_the_task_and_its_location(
        self, client: httpx2.AsyncClient, mine: dict[str, str]
    ) -> None:
        answer = await client.post("/v1/tasks", json={"title": " Buy milk\n", "description": " Oat "}, headers=mine)
        task = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == f"tasks/{task['id']}"
        assert UUID(task["id"]).version == 4
        assert list(task) == ["id", "title", "description", "completed", "created_at", "updated_at", "etag"]
        assert (task["title"], task["description"], task["completed"]) == ("Buy milk", " Oat ", False)
        assert (await client.get(located(answer), headers=mine)).json() == task

    async def test_times_are_rfc_3339_in_utc(self, task: dict[str, Any]) -> None:
        assert task["created_at"] == task["updated_at"]
        assert task["created_at"].endswith("Z")
        assert datetime.fromisoformat(task["created_at"]).tzinfo is not None

    async def test_put_replaces_the_whole_task(
        self, client: httpx2.AsyncClient, mine: dict[str, str], task: dict[str, Any]
    ) -> None:
        await client.post(f"/v1/tasks/{task['id']}/toggle", headers=mine)
        answer = await client.put(f"/v1/tasks/{task['id']}", json={"title": "Buy bread"}, headers=mine)
        replaced = answer.json()
        assert answer.status_code == 200
        assert replaced == task | {
            "title": "Buy bread",
            "description": None,
            "completed": False,
            "updated_at": replaced["updated_at"],
            "etag": answer.headers["etag"],
        }
        assert replaced["updated_at"] > task["updated_at"]

    @pytest.mark.parametrize("content_type", ["application/json", "application/merge-patch+json"])
    @pytest.mark.parametrize("patch", [{"title": "New"}, {"description": None}, {"completed": True}])
    async def test_patch_changes_only_the_fields_it_has(
        self,
        client: httpx2.AsyncClient,
        mine: dict[str, str],
        task: dict[str, Any],
        patch: dict[str, Any],
        content_type: str,
    ) -> None:
        headers = mine | {"Content-Type": content_type}
        answer = await client.patch(f"/v1/tasks/{task['id']}", json=patch, headers=headers)
        assert answer.status_code == 200
        assert answer.json() == task | patch | {
            "updated_at": answer.json()["updated_at"],
            "etag": answer.headers["etag"],
        }
        assert answer.json()["updated_at"] > task["updated_at"]

    async def test_an_empty_patch_changes_nothing(
        self, client: httpx2.AsyncClient, mine: dict[str, str], task: dict[str, Any]
    ) -> None:
        answer = await client.patch(f"/v1/tasks/{task['id']}", json={}, headers=mine)
        assert answer.status_code == 200
        assert answer.json() == task

    async def test_toggle_flips_completed(
        self, client: httpx2.AsyncClient, mine: dict[str, str], task: dict[str, Any]
    ) -> None:
        states = [(await client.post(f"/v1/tasks/{task['id']}/toggle", headers=mine)).json() for _ in range(2)]
        assert [state["completed"] for state in states] == [True, False]

    async def test_a_deleted_task_is_gone(
        self, client: httpx2.AsyncClient, mine: dict[str, str], task: dict[str, Any]
    ) -> None:
        answer = await client.delete(f"/v1/tasks/{task['id']}", headers=mine)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get(f"/v1/tasks/{task['id']}", headers=mine)).status_code == 404
        assert (await client.delete(f"/v1/tasks/{task['id']}", headers=mine)).status_code == 404

    async def test_pages_are_newest_first(self, client: httpx2.AsyncClient, mine: dict[str, str]) -> None:
        for number in range(5):
            await client.post("/v1/tasks", json={"title": str(number)}, headers=mine)
        titles: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = await client.get("/v1/tasks", params={"limit": 2, "cursor": cursor}, headers=mine)
            titles += [task["title"] for task in answer.json()["items"]]
            cursor = answer.json()["next_cursor"]
        assert titles == ["4", "3", "2", "1", "0"]

    async def test_a_listing_can_be_filtered_by_state(
        self, client: httpx2.AsyncClient, mine: dict[str, str], task: dict[str, Any]
    ) -> None:
        await client.post("/v1/tasks", json={"title": "Done", "completed": True}, headers=mine)
        done = await client.get("/v1/tasks?completed=true", headers=mine)
        open_ = await client.get("/v1/tasks?completed=false", headers=mine)
        assert [item["title"] for item in done.json()["items"]] == ["Done"]
        assert open_.json()["items"] == [task]

    @pytest.mark.parametrize("request_", ON_ONE.values(), ids=ON_ONE)
    async def test_another_users_task_looks_like_a_missing_one(
        self,
        client: httpx2.AsyncClient,
        mine: dict[str, str],
        his: dict[str, str],
        task: dict[str, Any],
        request_: Request,
    ) -> None:
        answers = []
        for task_id in (task["id"], str(uuid4())):
            headers = his | {"X-Request-Id": "the-same"}
            method, path, body = request_
            answer = await client.request(method, f"/v1/tasks/{task_id}{path}", json=body, headers=headers)
            answers.append((answer.status_code, answer.text.replace(task_id, "ID"), dict(answer.headers)))
        foreign, missing = answers
        assert foreign == missing
        assert foreign[0] == 404
        assert (await client.get(f"/v1/tasks/{task['id']}", headers=mine)).json() == task

    async def test_nobody_lists_another_users_tasks(
        self, client: httpx2.AsyncClient, mine: dict[str, str], his: dict[str, str]
    ) -> None:
        for number in range(3):
            await client.post("/v1/tasks", json={"title": str(number)}, headers=mine)
        cursor = (await client.get("/v1/tasks?limit=1", headers=mine)).json()["next_cursor"]
        for query in ({}, {"cursor": cursor}):
            answer = await client.get("/v1/tasks", params=query, headers=his)
            assert answer.json() == {"items": [], "next_cursor": None}

    async def test_the_service_is_ready(self, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/health/ready")).status_code == 200


class TestOnFake(Journey):
    pass


class TestOnPostgres(Journey):
    @pytest.fixture
    def client(self, postgres_client: httpx2.AsyncClient) -> httpx2.AsyncClient:
        return postgres_client


class TestOnPgBouncer(Journey):
    @pytest.fixture
    async def client(self, pooled_url: str) -> AsyncIterator[httpx2.AsyncClient]:
        container = Container()
        container.settings.override(Settings.load(database_url=pooled_url))
        async with client_of(container) as client:
            yield client


class TestOnDistributedKey(Journey):
    @pytest.fixture
    async def client(self, distributed_url: str) -> AsyncIterator[httpx2.AsyncClient]:
        container = Container()
        container.settings.override(Settings.load(database_url=distributed_url))
        async with client_of(container) as client:
            yield client


async def test_times_always_have_six_digits(container: Container, as_alice: dict[str, str]) -> None:
    whole_second = InMemoryTaskRepository(clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    container.tasks.override(providers.Object(whole_second))
    async with client_of(container) as client:
        task = (await client.post("/v1/tasks", json={"title": "x"}, headers=as_alice)).json()
    assert task["created_at"] == task["updated_at"] == "2026-01-02T03:04:05.000000Z"
