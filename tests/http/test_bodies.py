"""Bodies that are not JSON, too large, of another media type or ambiguous are refused, and nothing is written."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from entrypoints.container import Container
from entrypoints.http import bodies
from entrypoints.http.bodies import parse
from entrypoints.settings import Settings
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of, located

JSON = {"X-User-Id": "alice", "Content-Type": "application/json"}
ANY_TASK = "/v1/tasks/00000000-0000-4000-8000-000000000000"


def _problem(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:taskward:problem:")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"title": "x"',
        b'{"title": "x"}}',
        b"{'title': 'x'}",
        b"title",
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"title": "x"}',
        b'{"title": "\xff"}',
        b'{"title": "\xed\xa0\x80"}',
        b'{"title": "raw\nnewline"}',
        b'{"title": NaN}',
        b'{"title": "x", "completed": Infinity}',
        b'{"title": "x", "n": -Infinity}',
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_body_that_is_not_json_is_malformed(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, method: str, body: bytes
) -> None:
    path = "/v1/tasks" if method == "POST" else ANY_TASK
    answer = await client.request(method, path, content=body, headers=JSON)
    assert _problem(answer) == (400, "malformed-body")
    assert fake.stored == {}


@pytest.mark.parametrize(
    ("body", "pointers", "rule"),
    [
        (b'{"title": "x", "title": "y"}', ["#/title"], "once"),
        (b'{"title": "x", "a": 1, "a": 1, "b": [], "b": []}', ["#/a", "#/b"], "once"),
        (b'{"title": "x", "\\u0074itle": "y"}', ["#/title"], "once"),
        (b'{"title": {"a": 1, "a": 1}}', ["#/title"], "a text"),
        (b'[{"a": 1, "a": 1}]', ["#"], "object"),
        (b'{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["#"], "nested"),
        (b'{"title": ' + b"1" * 5000 + b"}", ["#"], "digits"),
        (b'{"title": 1e400}', ["#/title"], "a text"),
        (b"null", ["#"], "object"),
    ],
)
async def test_ambiguous_or_excessive_json_is_invalid(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, body: bytes, pointers: list[str], rule: str
) -> None:
    answer = await client.post("/v1/tasks", content=body, headers=JSON)
    assert _problem(answer) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert rule in answer.json()["errors"][0]["detail"]
    assert fake.stored == {}


@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", "json"],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_body_of_another_media_type_is_refused(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, method: str, kind: str | None
) -> None:
    path = "/v1/tasks" if method == "POST" else ANY_TASK
    headers = {"X-User-Id": "alice"} | ({} if kind is None else {"Content-Type": kind})
    answer = await client.request(method, path, content=b'{"title": "x"}', headers=headers)
    assert _problem(answer) == (415, "unsupported-media-type")
    assert fake.stored == {}


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
async def test_the_json_media_type_may_be_spelt_differently(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.post("/v1/tasks", content=b'{"title": "x"}', headers=JSON | {"Content-Type": kind})
    assert answer.status_code == 201


@pytest.mark.parametrize(("method", "status"), [("PATCH", 200), ("PUT", 415)])
async def test_only_patch_accepts_a_merge_patch(client: httpx2.AsyncClient, method: str, status: int) -> None:
    url = located(await client.post("/v1/tasks", content=b'{"title": "x"}', headers=JSON))
    headers = JSON | {"Content-Type": "application/merge-patch+json"}
    assert (await client.request(method, url, content=b'{"title": "y"}', headers=headers)).status_code == status


@pytest.fixture
async def client_with_small_limit(container: Container) -> AsyncIterator[httpx2.AsyncClient]:
    container.settings.override(Settings.load(max_body_bytes=100))
    async with client_of(container) as client:
        yield client


@pytest.mark.parametrize(("size", "status"), [(100, 201), (101, 413)])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(
    client_with_small_limit: httpx2.AsyncClient,
    fake: InMemoryTaskRepository,
    size: int,
    status: int,
    *,
    is_chunked: bool,
) -> None:
    body = b'{"title": "x"}'.ljust(size)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 10):
            yield body[start : start + 10]

    answer = await client_with_small_limit.post("/v1/tasks", content=chunks() if is_chunked else body, headers=JSON)
    assert answer.status_code == status
    assert len(fake.stored) == (status == 201)
    if status == 413:
        assert _problem(answer) == (413, "body-too-large")


async def test_an_endless_body_is_refused(client_with_small_limit: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 10

    answer = await client_with_small_limit.post("/v1/tasks", content=endless(), headers=JSON)
    assert _problem(answer) == (413, "body-too-large")


async def test_a_stalled_body_times_out(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)

    async def stalling() -> AsyncIterator[bytes]:
        yield b'{"title": '
        await asyncio.Event().wait()

    answer = await client.post("/v1/tasks", content=stalling(), headers=JSON)
    assert _problem(answer) == (408, "request-timeout")


@pytest.mark.parametrize("body", [b"", b"{", b'{"title": ""}', b" " * 300_000])
async def test_the_identity_is_checked_before_the_body(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/v1/tasks?unknown=1", content=body)
    assert _problem(answer) == (401, "identity-required")


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


async def test_the_first_of_two_content_types_counts(client: httpx2.AsyncClient) -> None:
    twice = [("X-User-Id", "alice"), ("Content-Type", "text/plain"), ("Content-Type", "application/json")]
    assert _problem(await client.post("/v1/tasks", content=b'{"title": "x"}', headers=twice))[0] == 415
