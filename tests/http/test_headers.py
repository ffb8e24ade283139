"""The headers of every answer, methods, and HEAD for every GET."""

import httpx2
import pytest
from starlette.types import Message

from entrypoints.container import Container
from tests.conftest import LoggedLines
from tests.http.conftest import located


@pytest.fixture
async def url(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> str:
    return located(await client.post("/v1/tasks", json={"title": "x"}, headers=as_alice))


@pytest.mark.parametrize(
    "path",
    ["/v1/tasks", "{task}", "/health/live", "/health/ready", "/openapi.json", "/docs", "/v1/tasks?limit=0", "/no"],
)
async def test_every_get_answers_head(
    logged: LoggedLines, client: httpx2.AsyncClient, as_alice: dict[str, str], url: str, path: str
) -> None:
    path = path.replace("{task}", url)
    get = await client.get(path, headers=as_alice)
    head = await client.head(path, headers=as_alice)
    assert (head.status_code, head.content) == (get.status_code, b"")
    compared = ("content-type", "content-length", "etag", "cache-control", "vary")
    if get.is_success:  # the body of a problem holds the request's id
        assert [head.headers.get(name) for name in compared] == [get.headers.get(name) for name in compared]
    assert [(line["method"], line["status"]) for line in logged() if line["event"] == "request"][-2:] == [
        ("GET", get.status_code),
        ("HEAD", get.status_code),
    ]
    routes = [line["route"] for line in logged() if line["event"] == "request"][-2:]
    assert routes[0] == routes[1]


async def test_the_application_itself_drops_the_body_for_head(container: Container) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "HEAD", "path": "/health/live", "query_string": b"", "headers": []}
    await container.app()(scope, receive, send)
    assert sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in sent) == b""


async def test_head_is_refused_where_get_is(client: httpx2.AsyncClient, as_alice: dict[str, str], url: str) -> None:
    answer = await client.head(f"{url}/toggle", headers=as_alice)
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/tasks", "DELETE, GET, HEAD, PATCH, POST"),
        ("/v1/tasks/counts", "GET, HEAD"),
        ("{task}", "DELETE, GET, HEAD, PATCH, PUT"),
        ("{task}/toggle", "POST"),
        ("/health/live", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/docs/assets/swagger-ui.css", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "BREW", "QUERY"])
async def test_an_unknown_method_gets_all_allowed_methods(
    client: httpx2.AsyncClient, as_alice: dict[str, str], url: str, path: str, allowed: str, method: str
) -> None:
    answer = await client.request(method, path.replace("{task}", url), headers=as_alice)
    assert (answer.status_code, answer.json()["type"]) == (405, "urn:taskward:problem:method-not-allowed")
    assert answer.headers["allow"] == allowed


async def test_a_range_of_an_asset_is_ignored(client: httpx2.AsyncClient) -> None:
    for wrong in ("bytes=99999999-", "bytes=abc"):
        answer = await client.get("/docs/assets/favicon.png", headers={"Range": wrong})
        assert answer.status_code == 200


async def test_no_cache_gives_one_users_answer_to_another(
    client: httpx2.AsyncClient, as_alice: dict[str, str], url: str
) -> None:
    answers = [
        await client.get("/v1/tasks", headers=as_alice),
        await client.get(url, headers=as_alice),
        await client.put(url, json={"title": "y"}, headers=as_alice),
        await client.patch(url, json={"title": "z"}, headers=as_alice),
        await client.post(f"{url}/toggle", headers=as_alice),
        await client.delete(url, headers=as_alice),
    ]
    assert all(answer.is_success for answer in answers)
    assert {(answer.headers["cache-control"], answer.headers["vary"]) for answer in answers} == {
        ("private, no-cache, no-transform", "X-User-Id")
    }
    assert (await client.get(url, headers=as_alice)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/v1/tasks/", "//v1/tasks", "/v1/tasks/{id}/", "/docs/", "/health/live/"])
async def test_no_path_redirects(client: httpx2.AsyncClient, as_alice: dict[str, str], path: str) -> None:
    answer = await client.get(f"http://taskward.test{path}", headers=as_alice)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:taskward:problem:not-found")


async def test_references_work_behind_a_path_prefix(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    created = await client.post("/v1/tasks", json={"title": "x"}, headers=as_alice)
    await client.post("/v1/tasks", json={"title": "y"}, headers=as_alice)
    page = await client.get("/v1/tasks?limit=1", headers=as_alice)
    outside = httpx2.URL("https://example.com/api/v1/tasks?limit=1")
    assert outside.join(created.headers["location"]).path == f"/api/v1/tasks/{created.json()['id']}"
    following = outside.join(page.links["next"]["url"])
    assert (following.path, dict(following.params)["limit"]) == ("/api/v1/tasks", "1")


@pytest.mark.parametrize(
    "path",
    ["/v1/tasks", "/v1/tasks/00000000-0000-4000-8000-000000000000", "/no", "/health/live", "/docs", "/openapi.json"],
)
async def test_no_browser_guesses_an_answers_media_type(
    client: httpx2.AsyncClient, as_alice: dict[str, str], path: str
) -> None:
    assert (await client.get(path, headers=as_alice)).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_no_cache_keeps_a_health_answer(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path)).headers["cache-control"] == "no-store"
