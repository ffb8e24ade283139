"""Idempotency-Key makes a POST repeatable."""

import asyncio

import httpx2
import pytest

from domain.task import UserId
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import located

MILK = {"title": "Buy milk", "description": "Oat"}


async def _create(client: httpx2.AsyncClient, key: str, body: object = MILK, user: str = "alice") -> httpx2.Response:
    return await client.post("/v1/tasks", json=body, headers={"X-User-Id": user, "Idempotency-Key": key})


async def test_a_repeat_answers_with_the_first_task(client: httpx2.AsyncClient) -> None:
    first, repeat = await _create(client, "k"), await _create(client, "k")
    assert (first.status_code, repeat.status_code) == (201, 200)
    assert first.json() == repeat.json()
    for header in ("etag", "location", "cache-control", "vary"):
        assert first.headers[header] == repeat.headers[header]


async def test_a_repeat_may_be_spelt_differently(client: httpx2.AsyncClient) -> None:
    await _create(client, "k")
    repeat = await _create(client, "k", {"completed": False, "description": "Oat", "title": " Buy milk "})
    assert repeat.status_code == 200


async def test_a_repeat_shows_the_current_task(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    url = located(await _create(client, "k"))
    changed = await client.patch(url, json={"title": "Buy bread"}, headers=as_alice)
    repeat = await _create(client, "k")
    assert (repeat.status_code, repeat.json()) == (200, changed.json())


async def test_a_repeat_after_a_deletion_creates_a_task(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    url = located(await _create(client, "k"))
    await client.delete(url, headers=as_alice)
    assert (await _create(client, "k", {"title": "Other"})).status_code == 201


async def test_a_repeat_with_another_body_is_refused(client: httpx2.AsyncClient, fake: InMemoryTaskRepository) -> None:
    await _create(client, "k")
    before = dict(fake.stored)
    answer = await _create(client, "k", {"title": "Buy milk"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["header: Idempotency-Key"]
    assert fake.stored == before


async def test_two_users_equal_keys_never_meet(client: httpx2.AsyncClient) -> None:
    mine, his = await _create(client, "k"), await _create(client, "k", {"title": "His"}, user="bob")
    assert (mine.status_code, his.status_code) == (201, 201)
    assert mine.json()["id"] != his.json()["id"]


@pytest.mark.parametrize("key", ["k" * 255, "!", "~ ~", "a,b", '"quoted"'])
async def test_any_printable_key_is_accepted(client: httpx2.AsyncClient, key: str) -> None:
    assert [(await _create(client, key)).status_code for _ in range(2)] == [201, 200]


@pytest.mark.parametrize("key", [b"", b"k" * 256, b"k\xc3\xa9y", b"k\ty", b"k\x7fy"])
async def test_a_malformed_key_is_refused(client: httpx2.AsyncClient, fake: InMemoryTaskRepository, key: bytes) -> None:
    headers = [(b"X-User-Id", b"alice"), (b"Idempotency-Key", key)]
    answer = await client.post("/v1/tasks", json=MILK, headers=headers)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["header: Idempotency-Key"]
    assert fake.stored == {}


async def test_a_repeated_key_header_is_refused(client: httpx2.AsyncClient, fake: InMemoryTaskRepository) -> None:
    headers = [("X-User-Id", "alice"), ("Idempotency-Key", "k"), ("Idempotency-Key", "k")]
    answer = await client.post("/v1/tasks", json=MILK, headers=headers)
    assert answer.status_code == 422
    assert fake.stored == {}


async def test_fifty_creations_at_once_make_one_task(postgres_client: httpx2.AsyncClient, alice: UserId) -> None:
    answers = await asyncio.gather(*(_create(postgres_client, "k", user=alice.value) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.text for answer in answers}) == 1
    listed = await postgres_client.get("/v1/tasks", headers={"X-User-Id": alice.value})
    assert listed.json()["items"] == [answers[0].json()]
