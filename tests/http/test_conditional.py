"""Conditional requests (RFC 9110): a task's ETag, If-Match on changes, If-None-Match on reads."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from domain.task import UserId
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import located
from tests.operations import CHANGES

MALFORMED = ["", ",", "abc", '"open', '"a" "b"', '*, "a"', 'w/"a"', "'a'", '"a\x7fb"']
every_change = pytest.mark.parametrize(("method", "suffix", "body"), CHANGES.values(), ids=CHANGES)


@pytest.fixture
async def created(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> httpx2.Response:
    return await client.post("/v1/tasks", json={"title": "Buy milk"}, headers=as_alice)


@pytest.fixture
def url(created: httpx2.Response) -> str:
    return located(created)


async def test_one_state_has_one_strong_tag(
    client: httpx2.AsyncClient, as_alice: dict[str, str], created: httpx2.Response, url: str
) -> None:
    read = await client.get(url, headers=as_alice)
    unchanged = await client.patch(url, json={}, headers=as_alice)
    tags = {answer.headers["etag"] for answer in (created, read, unchanged)}
    assert len(tags) == 1
    assert tags.pop().startswith('"')


async def test_every_change_changes_the_tag(client: httpx2.AsyncClient, as_alice: dict[str, str], url: str) -> None:
    answers = [
        await client.get(url, headers=as_alice),
        await client.patch(url, json={"title": "Buy milk"}, headers=as_alice),
        await client.put(url, json={"title": "Buy milk"}, headers=as_alice),
        await client.post(f"{url}/toggle", headers=as_alice),
        await client.post(f"{url}/toggle", headers=as_alice),
    ]
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', ', {} ,\t"other"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_unchanged_task_is_not_sent_again(
    client: httpx2.AsyncClient, as_alice: dict[str, str], created: httpx2.Response, url: str, form: str, method: str
) -> None:
    known = as_alice | {"If-None-Match": form.format(created.headers["etag"])}
    answer = await client.request(method, url, headers=known)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == created.headers["etag"]
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("private, no-cache, no-transform", "X-User-Id")


async def test_a_changed_task_is_sent_again(
    client: httpx2.AsyncClient, as_alice: dict[str, str], created: httpx2.Response, url: str
) -> None:
    await client.post(f"{url}/toggle", headers=as_alice)
    answer = await client.get(url, headers=as_alice | {"If-None-Match": created.headers["etag"]})
    assert (answer.status_code, answer.json()["completed"]) == (200, True)


@pytest.mark.parametrize("form", ["{}", '"other", {}', ', {} ,\t"a,b"', "*", " * "])
@every_change
async def test_a_change_is_made_if_its_condition_holds(
    client: httpx2.AsyncClient,
    as_alice: dict[str, str],
    created: httpx2.Response,
    url: str,
    form: str,
    method: str,
    suffix: str,
    body: object,
) -> None:
    headers = as_alice | {"If-Match": form.format(created.headers["etag"])}
    assert (await client.request(method, url + suffix, json=body, headers=headers)).is_success


@pytest.mark.parametrize("form", ['"other"', "W/{}", '"0{digits}"', '"+{digits}"', '""', '"99999999999999999999"'])
@every_change
async def test_a_change_is_refused_if_its_condition_fails(
    client: httpx2.AsyncClient,
    fake: InMemoryTaskRepository,
    as_alice: dict[str, str],
    created: httpx2.Response,
    url: str,
    form: str,
    method: str,
    suffix: str,
    body: object,
) -> None:
    tag = created.headers["etag"]
    before = dict(fake.stored)
    headers = as_alice | {"If-Match": form.format(tag, digits=tag.strip('"'))}
    answer = await client.request(method, url + suffix, json=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (412, "urn:taskward:problem:precondition-failed")
    assert fake.stored == before


@pytest.mark.parametrize(("condition", "status"), [('"other"', 412), ("*", 200)])
async def test_a_read_evaluates_if_match(
    client: httpx2.AsyncClient, as_alice: dict[str, str], url: str, condition: str, status: int
) -> None:
    assert (await client.get(url, headers=as_alice | {"If-Match": condition})).status_code == status


async def test_if_match_comes_before_if_none_match(
    client: httpx2.AsyncClient, as_alice: dict[str, str], url: str
) -> None:
    answer = await client.get(url, headers=as_alice | {"If-Match": '"other"', "If-None-Match": "*"})
    assert answer.status_code == 412


@every_change
async def test_a_condition_that_would_be_ignored_is_refused(
    client: httpx2.AsyncClient,
    fake: InMemoryTaskRepository,
    as_alice: dict[str, str],
    url: str,
    method: str,
    suffix: str,
    body: object,
) -> None:
    before = dict(fake.stored)
    answer = await client.request(method, url + suffix, json=body, headers=as_alice | {"If-None-Match": "*"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["header: If-None-Match"]
    assert fake.stored == before


async def test_a_condition_may_come_in_several_lines(
    client: httpx2.AsyncClient, as_alice: dict[str, str], created: httpx2.Response, url: str
) -> None:
    lines = [*as_alice.items(), ("If-Match", '"other"'), ("If-Match", created.headers["etag"])]
    assert (await client.post(f"{url}/toggle", headers=lines)).status_code == 200


@pytest.mark.parametrize("condition", MALFORMED)
@every_change
async def test_a_malformed_condition_comes_before_a_missing_task(
    client: httpx2.AsyncClient, as_alice: dict[str, str], condition: str, method: str, suffix: str, body: object
) -> None:
    answer = await client.request(
        method, f"/v1/tasks/{uuid4()}{suffix}", json=body, headers=as_alice | {"If-Match": condition}
    )
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["header: If-Match"]


@pytest.mark.parametrize("condition", MALFORMED)
async def test_a_read_refuses_a_malformed_condition(
    client: httpx2.AsyncClient, as_alice: dict[str, str], url: str, condition: str
) -> None:
    answer = await client.get(url, headers=as_alice | {"If-None-Match": condition})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["header: If-None-Match"]


@pytest.mark.parametrize("condition", ["*", '"other"', 'W/"other"'])
@every_change
async def test_a_missing_task_is_404_despite_a_condition(
    client: httpx2.AsyncClient,
    url: str,
    condition: str,
    method: str,
    suffix: str,
    body: object,
) -> None:
    for path in (url, f"/v1/tasks/{uuid4()}"):
        answer = await client.request(
            method, path + suffix, json=body, headers={"X-User-Id": "bob", "If-Match": condition}
        )
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:taskward:problem:task-not-found")


async def test_concurrent_conditional_writes_lose_no_update(postgres_client: httpx2.AsyncClient, alice: UserId) -> None:
    as_alice = {"X-User-Id": alice.value}
    created = await postgres_client.post("/v1/tasks", json={"title": "x", "description": ""}, headers=as_alice)
    url = located(created)

    async def append(mark: str) -> int:
        refusals = 0
        while True:
            read = await postgres_client.get(url, headers=as_alice)
            change: dict[str, Any] = {"description": read.json()["description"] + mark}
            answer = await postgres_client.patch(
                url, json=change, headers=as_alice | {"If-Match": read.headers["etag"]}
            )
            if answer.status_code == 200:
                return refusals
            assert answer.status_code == 412
            refusals += 1

    marks = "abcdefghijkl"
    refusals = await asyncio.gather(*map(append, marks))
    assert sorted((await postgres_client.get(url, headers=as_alice)).json()["description"]) == sorted(marks)
    assert sum(refusals) > 0  # the writers did collide


async def test_every_answer_with_a_task_has_its_etag(
    client: httpx2.AsyncClient, as_alice: dict[str, str], task: dict[str, Any]
) -> None:
    url = f"/v1/tasks/{task['id']}"
    (listed,) = (await client.get("/v1/tasks", headers=as_alice)).json()["items"]
    read = await client.get(url, headers=as_alice)
    assert listed["etag"] == read.json()["etag"] == read.headers["etag"] == task["etag"]
    answer = await client.delete(url, headers=as_alice | {"If-Match": listed["etag"]})
    assert answer.status_code == 204


@pytest.mark.parametrize(("count", "status"), [(100, 412), (101, 422)])
async def test_a_condition_has_at_most_a_hundred_tags(
    client: httpx2.AsyncClient, as_alice: dict[str, str], task: dict[str, Any], count: int, status: int
) -> None:
    headers = as_alice | {"If-Match": ", ".join(['"1"'] * count)}
    assert (await client.get(f"/v1/tasks/{task['id']}", headers=headers)).status_code == status
