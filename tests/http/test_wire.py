"""What proxies, browsers and unusual clients see: references, ETags of pages, media types, other sites."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from dependency_injector import providers
from starlette.staticfiles import StaticFiles

from domain.task import TaskDraft, UserId
from entrypoints.container import Container
from entrypoints.http.bodies import parse
from entrypoints.settings import Settings
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of

JSON = {"X-User-Id": "alice", "Content-Type": "application/json"}
ANY_TASK = "/v1/tasks/00000000-0000-4000-8000-000000000000"
WRITES = [
    ("POST", "/v1/tasks"),
    ("PUT", ANY_TASK),
    ("PATCH", ANY_TASK),
    ("DELETE", ANY_TASK),
    ("POST", f"{ANY_TASK}/toggle"),
]


@pytest.fixture
async def task(client: httpx2.AsyncClient) -> dict[str, Any]:
    created: dict[str, Any] = (await client.post("/v1/tasks", json={"title": "x"}, headers=JSON)).json()
    return created


async def test_references_work_behind_a_path_prefix(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    created = await client.post("/v1/tasks", json={"title": "x"}, headers=as_alice)
    await client.post("/v1/tasks", json={"title": "y"}, headers=as_alice)
    page = await client.get("/v1/tasks?limit=1", headers=as_alice)
    outside = httpx2.URL("https://example.com/api/v1/tasks?limit=1")
    assert outside.join(created.headers["location"]).path == f"/api/v1/tasks/{created.json()['id']}"
    following = outside.join(page.links["next"]["url"])
    assert (following.path, dict(following.params)["limit"]) == ("/api/v1/tasks", "1")


async def test_times_always_have_six_digits(container: Container) -> None:
    whole_second = InMemoryTaskRepository(clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    container.tasks.override(providers.Object(whole_second))
    async with client_of(container) as client:
        task = (await client.post("/v1/tasks", json={"title": "x"}, headers=JSON)).json()
    assert task["created_at"] == task["updated_at"] == "2026-01-02T03:04:05.000000Z"


async def test_every_answer_with_a_task_has_its_etag(
    client: httpx2.AsyncClient, as_alice: dict[str, str], task: dict[str, Any]
) -> None:
    url = f"/v1/tasks/{task['id']}"
    (listed,) = (await client.get("/v1/tasks", headers=as_alice)).json()["items"]
    read = await client.get(url, headers=as_alice)
    assert listed["etag"] == read.json()["etag"] == read.headers["etag"] == task["etag"]
    answer = await client.delete(url, headers=as_alice | {"If-Match": listed["etag"]})
    assert answer.status_code == 204


@pytest.mark.usefixtures("task")
async def test_an_unchanged_page_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    first = await client.get("/v1/tasks?limit=1", headers=JSON)
    for known in (first.headers["etag"], f"W/{first.headers['etag']}", '"other", ' + first.headers["etag"], "*"):
        again = await client.get("/v1/tasks?limit=1", headers=JSON | {"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert (again.headers["cache-control"], again.headers["vary"]) == (
            "private, no-cache, no-transform",
            "X-User-Id",
        )
    assert re.fullmatch(r'"[\w-]{20}"', first.headers["etag"])


@pytest.mark.parametrize("change", ["toggle", "delete", "add"])
async def test_a_changed_page_is_sent_again(client: httpx2.AsyncClient, task: dict[str, Any], change: str) -> None:
    etag = (await client.get("/v1/tasks", headers=JSON)).headers["etag"]
    url = f"/v1/tasks/{task['id']}"
    if change == "toggle":
        await client.post(f"{url}/toggle", headers=JSON)
    elif change == "delete":
        await client.delete(url, headers=JSON)
    else:
        await client.post("/v1/tasks", json={"title": "y"}, headers=JSON)
    answer = await client.get("/v1/tasks", headers=JSON | {"If-None-Match": etag})
    assert (answer.status_code, answer.headers["etag"] == etag) == (200, False)


async def test_a_list_refuses_if_match(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/tasks", headers=JSON | {"If-Match": "*"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header: If-Match")


async def test_a_list_refuses_a_malformed_condition(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/tasks", headers=JSON | {"If-None-Match": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header: If-None-Match")


@pytest.mark.parametrize(("count", "status"), [(100, 412), (101, 422)])
async def test_a_condition_has_at_most_a_hundred_tags(
    client: httpx2.AsyncClient, task: dict[str, Any], count: int, status: int
) -> None:
    headers = JSON | {"If-Match": ", ".join(['"1"'] * count)}
    assert (await client.get(f"/v1/tasks/{task['id']}", headers=headers)).status_code == status


async def test_a_list_can_be_walked_oldest_first(client: httpx2.AsyncClient, fake: InMemoryTaskRepository) -> None:
    made = [(await fake.add(UserId("alice"), TaskDraft(str(n))))[0].title for n in range(5)]
    walked: list[str] = []
    query = "?order=oldest&limit=2"
    while query:
        page = await client.get(f"/v1/tasks{query}", headers=JSON)
        walked += [task["title"] for task in page.json()["items"]]
        query = page.links["next"]["url"] if page.links else ""
    assert walked == made


async def test_a_cursor_of_another_order_is_refused(client: httpx2.AsyncClient, fake: InMemoryTaskRepository) -> None:
    for _ in range(2):
        await fake.add(UserId("alice"), TaskDraft("x"))
    cursor = (await client.get("/v1/tasks?limit=1", headers=JSON)).json()["next_cursor"]
    assert (await client.get(f"/v1/tasks?order=newest&cursor={cursor}", headers=JSON)).status_code == 200
    answer = await client.get(f"/v1/tasks?order=oldest&cursor={cursor}", headers=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query: cursor")


@pytest.mark.parametrize(("method", "accepted"), [("PATCH", "application/merge-patch+json, application/json")])
async def test_an_unsupported_patch_gets_the_supported_types(
    client: httpx2.AsyncClient, method: str, accepted: str
) -> None:
    answer = await client.request(method, ANY_TASK, content=b"{}", headers=JSON | {"Content-Type": "text/plain"})
    assert (answer.status_code, answer.headers["accept-patch"]) == (415, accepted)
    assert "accept-patch" not in (await client.put(ANY_TASK, content=b"{}", headers={"X-User-Id": "alice"})).headers


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, identity", "identity", "x", ""])
async def test_a_body_with_a_content_encoding_is_refused(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, coding: str
) -> None:
    answer = await client.post("/v1/tasks", content=b'{"title": "x"}', headers=JSON | {"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:taskward:problem:unsupported-media-type")
    assert answer.headers["accept-encoding"] == "identity"
    assert fake.stored == {}


def test_a_number_without_a_fraction_is_an_integer() -> None:
    assert [(value, type(value)) for value in parse(b"[2.0, 2e0, 2.5]")] == [(2, int), (2, int), (2.5, float)]  # type: ignore[attr-defined]  # a list


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_another_sites_page_cannot_write(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, task: dict[str, Any], method: str, path: str
) -> None:
    before = dict(fake.stored)
    url = path.replace(ANY_TASK, f"/v1/tasks/{task['id']}")
    headers = JSON | {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}
    answer = await client.request(method, url, content=b'{"title": "y"}', headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:taskward:problem:cross-site")
    assert answer.headers["cache-control"] == "no-store"
    assert fake.stored == before


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none", None])
async def test_a_page_of_the_same_site_may_write(client: httpx2.AsyncClient, site: str | None) -> None:
    headers = JSON | ({"Sec-Fetch-Site": site} if site else {})
    assert (await client.post("/v1/tasks", json={"title": "x"}, headers=headers)).status_code == 201


async def test_a_page_of_an_allowed_origin_may_write(container: Container) -> None:
    container.settings.override(Settings.load(cors_origins="capacitor://localhost"))
    async with client_of(container) as client:
        headers = JSON | {"Sec-Fetch-Site": "cross-site", "Origin": "capacitor://localhost"}
        assert (await client.post("/v1/tasks", json={"title": "x"}, headers=headers)).status_code == 201
        headers["Origin"] = "https://localhost"
        assert (await client.post("/v1/tasks", json={"title": "x"}, headers=headers)).status_code == 403


async def test_another_sites_page_may_read(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/tasks", headers=JSON | {"Sec-Fetch-Site": "cross-site"})).status_code == 200


@pytest.mark.parametrize("path", ["/v1/tasks", ANY_TASK, "/no", "/health/live", "/docs", "/openapi.json"])
async def test_no_browser_guesses_an_answers_media_type(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers=JSON)).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_no_cache_keeps_a_health_answer(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_a_long_asset_path_is_not_looked_up(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[str] = []

    def look_up(_: StaticFiles, path: str) -> tuple[str, None]:
        sought.append(path)
        return "", None

    monkeypatch.setattr(StaticFiles, "lookup_path", look_up)
    for path in ("a/" * 30_000, "short"):
        answer = await client.get(f"/docs/assets/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:taskward:problem:not-found")
    assert sought == ["short"]


async def test_only_the_exact_path_means_the_counts(client: httpx2.AsyncClient) -> None:
    assert (await client.get(f"/v1/tasks/{uuid4()}", headers=JSON)).status_code == 404
    assert (await client.get("/v1/tasks/countsx", headers=JSON)).status_code == 422
