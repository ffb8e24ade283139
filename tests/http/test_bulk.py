"""Counts, and changes of all tasks in one state: one request each."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.fakes import InMemoryTaskRepository

HIS = {"X-User-Id": "bob"}


@pytest.fixture
async def _tasks(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    """Give alice and bob two open tasks and a completed one each."""
    for user in (as_alice, HIS):
        for completed in (False, False, True):
            await client.post("/v1/tasks", json={"title": "x", "completed": completed}, headers=user)


async def counts(client: httpx2.AsyncClient, user: dict[str, str]) -> Any:
    answer = await client.get("/v1/tasks/counts", headers=user)
    assert answer.status_code == 200
    assert "no-cache" in answer.headers["cache-control"]
    return answer.json()


@pytest.mark.usefixtures("_tasks")
async def test_tasks_are_counted_by_state(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    assert await counts(client, as_alice) == {"open": 2, "completed": 1}
    assert await counts(client, {"X-User-Id": "carol"}) == {"open": 0, "completed": 0}


@pytest.mark.usefixtures("_tasks")
@pytest.mark.parametrize(("state", "to", "changed", "then"), [("false", True, 2, (0, 3)), ("true", False, 1, (3, 0))])
async def test_all_tasks_in_a_state_change_at_once(
    client: httpx2.AsyncClient, as_alice: dict[str, str], state: str, changed: int, then: tuple[int, int], *, to: bool
) -> None:
    answer = await client.patch(f"/v1/tasks?completed={state}", json={"completed": to}, headers=as_alice)
    assert (answer.status_code, answer.json()) == (200, {"changed": changed})
    assert tuple((await counts(client, as_alice)).values()) == then
    assert await counts(client, HIS) == {"open": 2, "completed": 1}


@pytest.mark.usefixtures("_tasks")
async def test_all_tasks_in_one_state_are_deleted(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    answer = await client.delete("/v1/tasks?completed=true", headers=as_alice)
    assert (answer.status_code, answer.json()) == (200, {"deleted": 1})
    assert await counts(client, as_alice) == {"open": 2, "completed": 0}
    assert await counts(client, HIS) == {"open": 2, "completed": 1}


@pytest.mark.usefixtures("_tasks")
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    "query", ["", "?completed=", "?completed=1", "?completed=true&completed=false", "?complete=true"]
)
async def test_the_filter_is_required(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, as_alice: dict[str, str], method: str, query: str
) -> None:
    before = dict(fake.stored)
    answer = await client.request(method, f"/v1/tasks{query}", json={"completed": True}, headers=as_alice)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("query: complete")
    assert fake.stored == before


@pytest.mark.usefixtures("_tasks")
@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "#/completed"), ({"completed": None}, "#/completed"), ({"completed": True, "title": "y"}, "#/title")],
)
async def test_only_the_state_can_be_changed(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, as_alice: dict[str, str], body: object, pointer: str
) -> None:
    before = dict(fake.stored)
    answer = await client.patch("/v1/tasks?completed=false", json=body, headers=as_alice)
    assert (answer.status_code, [fault["pointer"] for fault in answer.json()["errors"]]) == (422, [pointer])
    assert fake.stored == before


async def test_a_condition_that_would_be_ignored_is_refused(
    client: httpx2.AsyncClient, as_alice: dict[str, str]
) -> None:
    answer = await client.delete("/v1/tasks?completed=true", headers=as_alice | {"If-Match": "*"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header: If-Match")


async def test_only_the_exact_path_means_the_counts(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    assert (await client.get(f"/v1/tasks/{uuid4()}", headers=as_alice)).status_code == 404
    assert (await client.get("/v1/tasks/countsx", headers=as_alice)).status_code == 422
