"""Input that breaks a rule is refused with the field and the rule, and nothing is written."""

import json
from uuid import uuid4

import httpx2
import pytest

from tests.fakes import InMemoryTaskRepository
from tests.operations import NOT_HEAD, Request

INVALID_BODIES: list[tuple[object, str, str]] = [
    ({"title": ""}, "#/title", "1 to 255 characters"),
    ({"title": " \u3000\n"}, "#/title", "1 to 255 characters"),
    ({"title": "\U0001d518" * 256}, "#/title", "1 to 255 characters"),
    ({"title": "nul\x00"}, "#/title", "U+0000"),
    ({"title": "half \ud800"}, "#/title", "surrogates"),
    ({"title": None}, "#/title", "string"),
    ({"title": 7}, "#/title", "string"),
    ({"title": "x", "description": "\U0001d518" * 10_001}, "#/description", "10000 characters"),
    ({"title": "x", "description": "nul\x00"}, "#/description", "U+0000"),
    ({"title": "x", "description": "half \udfff"}, "#/description", "surrogates"),
    ({"title": "x", "description": []}, "#/description", "string"),
    ({"title": "x", "completed": None}, "#/completed", "boolean"),
    ({"title": "x", "completed": 1}, "#/completed", "boolean"),
    ({"title": "x", "completed": "true"}, "#/completed", "boolean"),
    ({"title": "x", "id": "anything"}, "#/id", "not permitted"),
    ({"title": "x", "user_id": "bob"}, "#/user_id", "not permitted"),
    ({"title": "x", "a/b~c é": 1}, "#/a~1b~0c%20%C3%A9", "not permitted"),
    ({"title": "x", "half \ud800": 1}, "#", "unicode string"),
    ([], "#", "object"),
    ("title", "#", "object"),
]


async def _send(client: httpx2.AsyncClient, method: str, path: str, body: object) -> httpx2.Response:
    """As JSON in ASCII, which can spell the lone surrogates that the client's own encoder refuses."""
    headers = {"X-User-Id": "alice", "Content-Type": "application/json"}
    return await client.request(method, path, content=json.dumps(body), headers=headers)


def _assert_problem(answer: httpx2.Response, pointer: str, rule: str) -> None:
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "urn:taskward:problem:invalid-request"
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert rule in problem["errors"][0]["detail"]


@pytest.mark.parametrize(("body", "pointer", "rule"), INVALID_BODIES)
async def test_an_invalid_task_is_not_created(
    client: httpx2.AsyncClient,
    fake: InMemoryTaskRepository,
    body: object,
    pointer: str,
    rule: str,
) -> None:
    _assert_problem(await _send(client, "POST", "/v1/tasks", body), pointer, rule)
    assert fake.stored == {}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(("body", "pointer", "rule"), INVALID_BODIES)
async def test_an_invalid_change_is_not_made(
    client: httpx2.AsyncClient,
    fake: InMemoryTaskRepository,
    as_alice: dict[str, str],
    method: str,
    body: object,
    pointer: str,
    rule: str,
) -> None:
    task = (await client.post("/v1/tasks", json={"title": "Buy milk"}, headers=as_alice)).json()
    before = dict(fake.stored)
    _assert_problem(await _send(client, method, f"/v1/tasks/{task['id']}", body), pointer, rule)
    assert fake.stored == before


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_title_is_required(client: httpx2.AsyncClient, as_alice: dict[str, str], method: str) -> None:
    path = "/v1/tasks" if method == "POST" else "/v1/tasks/00000000-0000-4000-8000-000000000000"
    answer = await client.request(method, path, json={"completed": True}, headers=as_alice)
    _assert_problem(answer, "#/title", "required")


async def test_all_faults_are_named_at_once(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    body = {"title": "", "description": "x" * 10_001, "completed": 0, "owner": "bob"}
    answer = await client.post("/v1/tasks", json=body, headers=as_alice)
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["#/title", "#/description", "#/completed", "#/owner"]


async def test_of_many_faults_a_hundred_are_named(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    body = {f"unknown {number}": 1 for number in range(500)}
    for answer in (
        await client.post("/v1/tasks", json=body, headers=as_alice),
        await client.get("/v1/tasks", params=dict.fromkeys(body, "1"), headers=as_alice),
    ):
        assert (answer.status_code, len(answer.json()["errors"])) == (422, 100)


@pytest.mark.parametrize(
    "path", ["/v1/tasks/planted", "/v1/tasks?limit=planted", "/v1/tasks?completed=planted", "/v1/tasks?cursor=planted"]
)
async def test_a_refusal_does_not_repeat_what_stood_in_the_url(
    client: httpx2.AsyncClient, as_alice: dict[str, str], path: str
) -> None:
    answer = await client.get(path, headers=as_alice)
    assert answer.status_code == 422
    assert "planted" not in str(answer.json()["errors"])


async def test_a_refusal_does_not_repeat_what_was_sent(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    body = {"title": "planted-title" * 50, "description": "planted-description" * 1000, "completed": "planted-flag"}
    answer = await client.post("/v1/tasks", json=body, headers=as_alice)
    assert "planted" not in answer.text


@pytest.mark.parametrize("request_", NOT_HEAD.values(), ids=NOT_HEAD)
@pytest.mark.parametrize("spelling", ["42", "{{{}}}", "urn:uuid:{}", "{} ", "-{}"])
async def test_an_id_that_is_no_uuid_is_refused(
    client: httpx2.AsyncClient, as_alice: dict[str, str], request_: Request, spelling: str
) -> None:
    task_id = spelling.format(uuid4())
    method, path, body = request_
    answer = await client.request(method, f"/v1/tasks/{task_id}{path}", json=body, headers=as_alice)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["path: task_id"]
