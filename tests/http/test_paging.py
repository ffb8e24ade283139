"""Walking a list page by page, and conditional reads of a page."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from domain.task import TaskDraft, UserId
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import following
from tests.operations import NOT_HEAD, ON_ALL


async def _create(client: httpx2.AsyncClient, count: int, user: str = "alice") -> list[str]:
    return [
        (await client.post("/v1/tasks", json={"title": str(n)}, headers={"X-User-Id": user})).json()["id"]
        for n in range(count)
    ]


async def _walk(client: httpx2.AsyncClient, url: str, headers: dict[str, str]) -> list[str]:
    """Return the ids of all tasks on the linked pages."""
    walked, link = [], url
    while link:
        answer = await client.get(link, headers=headers)
        walked += [task["id"] for task in answer.json()["items"]]
        link = following(answer)
    return walked


async def test_the_links_lead_through_all_pages(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    ids = await _create(client, 7)
    assert await _walk(client, "/v1/tasks?limit=3", as_alice) == ids[::-1]


async def test_the_link_keeps_the_query(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    await _create(client, 3)
    answer = await client.get("/v1/tasks?completed=false&cursor=&limit=2", headers=as_alice)
    link = answer.headers["link"]
    assert link.startswith("<?")
    assert link.endswith('>; rel="next"')
    assert parse_qs(urlsplit(answer.links["next"]["url"]).query) == {
        "completed": ["false"],
        "limit": ["2"],
        "cursor": [answer.json()["next_cursor"]],
    }


@pytest.mark.parametrize(("query", "count"), [("", 50), ("?limit=200", 200)])
async def test_a_page_is_filled_to_its_limit(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, as_alice: dict[str, str], query: str, count: int
) -> None:
    for number in range(201):
        await fake.add(UserId("alice"), TaskDraft(str(number)))
    assert len((await client.get(f"/v1/tasks{query}", headers=as_alice)).json()["items"]) == count


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_the_last_page_has_no_link(client: httpx2.AsyncClient, as_alice: dict[str, str], count: int) -> None:
    await _create(client, count)
    answer = await client.get("/v1/tasks?limit=2", headers=as_alice)
    assert answer.json()["next_cursor"] is None
    assert "link" not in answer.headers


async def test_a_walk_lists_each_lasting_task_once(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    ids = await _create(client, 9)
    walked, link = [], "/v1/tasks?limit=2"
    while link:
        answer = await client.get(link, headers=as_alice)
        page = [task["id"] for task in answer.json()["items"]]
        walked += page
        await _create(client, 1)
        await client.delete(f"/v1/tasks/{page[-1]}", headers=as_alice)
        link = following(answer)
    assert walked == ids[::-1]


async def test_a_walk_lists_all_tasks_of_one_instant(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, as_alice: dict[str, str]
) -> None:
    fake.clock = lambda: datetime(2026, 1, 1, tzinfo=UTC)
    ids = await _create(client, 5)
    walked = await _walk(client, "/v1/tasks?limit=2", as_alice)
    assert walked == sorted(ids, reverse=True)


async def test_a_walk_can_be_filtered_by_state(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    ids = await _create(client, 9)
    for task_id in ids[::2]:
        await client.post(f"/v1/tasks/{task_id}/toggle", headers=as_alice)
    assert await _walk(client, "/v1/tasks?limit=2&completed=true", as_alice) == ids[::-2]
    assert await _walk(client, "/v1/tasks?limit=3&completed=false", as_alice) == ids[-2::-2]


async def test_an_empty_cursor_means_the_first_page(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    await _create(client, 3)
    answers = [await client.get(f"/v1/tasks?limit=2{cursor}", headers=as_alice) for cursor in ("", "&cursor=")]
    assert answers[0].json() == answers[1].json()


async def test_a_cursor_shows_only_the_callers_tasks(
    client: httpx2.AsyncClient, as_alice: dict[str, str], as_bob: dict[str, str]
) -> None:
    his = await _create(client, 3, user="bob")
    await _create(client, 3)
    cursor = (await client.get("/v1/tasks?limit=1", headers=as_alice)).json()["next_cursor"]
    answer = await client.get("/v1/tasks", params={"cursor": cursor}, headers=as_bob)
    assert [task["id"] for task in answer.json()["items"]] == his[::-1]


async def test_a_tampered_cursor_is_refused(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    await _create(client, 2)
    cursor = (await client.get("/v1/tasks?limit=1", headers=as_alice)).json()["next_cursor"]
    changed = cursor[:9] + ("A" if cursor[9] != "A" else "B") + cursor[10:]
    for tampered in (changed, cursor[:-1], cursor + "A", cursor.swapcase(), f" {cursor}"):
        answer = await client.get("/v1/tasks", params={"cursor": tampered}, headers=as_alice)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["query: cursor"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "query: limit"),
        ("limit=201", "query: limit"),
        ("limit=many", "query: limit"),
        ("limit=", "query: limit"),
        ("limit=1.0", "query: limit"),
        ("limit=1_0", "query: limit"),
        ("limit=%201", "query: limit"),
        ("limit=5&limit=5", "query: limit"),
        ("completed=perhaps", "query: completed"),
        ("completed=1", "query: completed"),
        ("completed=True", "query: completed"),
        ("completed=", "query: completed"),
        ("completed=true&completed=false", "query: completed"),
        ("cursor=abc", "query: cursor"),
        ("cursor=%00%FF", "query: cursor"),
        ("cursor=&cursor=", "query: cursor"),
        ("owner=bob", "query: owner"),
        ("Limit=5", "query: Limit"),
    ],
)
async def test_an_invalid_query_is_refused(
    client: httpx2.AsyncClient, as_alice: dict[str, str], query: str, pointer: str
) -> None:
    answer = await client.get(f"/v1/tasks?{query}", headers=as_alice)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("name", ["create", *NOT_HEAD])
async def test_routes_without_a_query_refuse_any(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, as_alice: dict[str, str], name: str
) -> None:
    (task_id,) = await _create(client, 1)
    before = dict(fake.stored)
    method, path, body = NOT_HEAD[name] if name in NOT_HEAD else ON_ALL[name]
    url = f"/v1/tasks/{task_id}{path}" if name in NOT_HEAD else "/v1/tasks"
    answer = await client.request(method, f"{url}?dry_run=1&force", json=body, headers=as_alice)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["query: dry_run", "query: force"]
    assert fake.stored == before


@pytest.mark.usefixtures("task")
async def test_an_unchanged_page_is_not_sent_again(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    first = await client.get("/v1/tasks?limit=1", headers=as_alice)
    for known in (first.headers["etag"], f"W/{first.headers['etag']}", '"other", ' + first.headers["etag"], "*"):
        again = await client.get("/v1/tasks?limit=1", headers=as_alice | {"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert (again.headers["cache-control"], again.headers["vary"]) == (
            "private, no-cache, no-transform",
            "X-User-Id",
        )
    assert re.fullmatch(r'"[\w-]{20}"', first.headers["etag"])


@pytest.mark.parametrize("change", ["toggle", "delete", "add"])
async def test_a_changed_page_is_sent_again(
    client: httpx2.AsyncClient, as_alice: dict[str, str], task: dict[str, Any], change: str
) -> None:
    etag = (await client.get("/v1/tasks", headers=as_alice)).headers["etag"]
    url = f"/v1/tasks/{task['id']}"
    if change == "toggle":
        await client.post(f"{url}/toggle", headers=as_alice)
    elif change == "delete":
        await client.delete(url, headers=as_alice)
    else:
        await client.post("/v1/tasks", json={"title": "y"}, headers=as_alice)
    answer = await client.get("/v1/tasks", headers=as_alice | {"If-None-Match": etag})
    assert (answer.status_code, answer.headers["etag"] == etag) == (200, False)


async def test_a_list_refuses_if_match(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    answer = await client.get("/v1/tasks", headers=as_alice | {"If-Match": "*"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header: If-Match")


async def test_a_list_refuses_a_malformed_condition(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    answer = await client.get("/v1/tasks", headers=as_alice | {"If-None-Match": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header: If-None-Match")


async def test_a_list_can_be_walked_oldest_first(
    client: httpx2.AsyncClient, as_alice: dict[str, str], fake: InMemoryTaskRepository
) -> None:
    made = [(await fake.add(UserId("alice"), TaskDraft(str(n))))[0].title for n in range(5)]
    walked: list[str] = []
    query = "?order=oldest&limit=2"
    while query:
        page = await client.get(f"/v1/tasks{query}", headers=as_alice)
        walked += [task["title"] for task in page.json()["items"]]
        query = page.links["next"]["url"] if page.links else ""
    assert walked == made


async def test_a_cursor_of_another_order_is_refused(
    client: httpx2.AsyncClient, as_alice: dict[str, str], fake: InMemoryTaskRepository
) -> None:
    for _ in range(2):
        await fake.add(UserId("alice"), TaskDraft("x"))
    cursor = (await client.get("/v1/tasks?limit=1", headers=as_alice)).json()["next_cursor"]
    assert (await client.get(f"/v1/tasks?order=newest&cursor={cursor}", headers=as_alice)).status_code == 200
    answer = await client.get(f"/v1/tasks?order=oldest&cursor={cursor}", headers=as_alice)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query: cursor")
