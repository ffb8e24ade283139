"""Errors are answered as problems (RFC 9457), which reveal nothing internal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext

import httpx2
import pytest
from dependency_injector import providers

from domain.errors import OwnershipViolation, StorageError, StorageOutdated, StorageOverloaded, StorageUnavailable
from domain.idempotency import IdempotencyKey
from domain.task import Task, TaskDraft, UserId
from entrypoints.container import Container
from entrypoints.http import health
from entrypoints.http.dependencies import Readiness
from tests.conftest import LoggedLines
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of
from tests.planted import PLANTED

MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}


class FailingRepository(InMemoryTaskRepository):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def add(self, owner: UserId, draft: TaskDraft, *, key: IdempotencyKey | None = None) -> tuple[Task, bool]:
        raise self.error


class FailingReadiness(Readiness):
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def check(self) -> None:
        raise self.error


@pytest.fixture
def error() -> Exception:
    return RuntimeError("secret: select * from tasks")


@pytest.fixture
async def failing_client(container: Container, error: Exception) -> AsyncIterator[httpx2.AsyncClient]:
    container.tasks.override(providers.Object(FailingRepository(error)))
    container.readiness.override(providers.Object(FailingReadiness(error)))
    container.resources.override(providers.Factory(nullcontext))
    async with client_of(container) as client:
        yield client


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (StorageUnavailable("secret"), 503, "database-unavailable"),
        (StorageOverloaded("secret"), 503, "overloaded"),
        (StorageError("secret"), 500, "internal-error"),
        (OwnershipViolation("secret"), 500, "internal-error"),
        (RuntimeError("secret"), 500, "internal-error"),
    ],
)
async def test_a_failure_reveals_nothing_internal(
    failing_client: httpx2.AsyncClient, as_alice: dict[str, str], status: int, kind: str
) -> None:
    headers = as_alice | {"X-Request-Id": "abc.1"}
    answer = await failing_client.post("/v1/tasks", json={"title": PLANTED}, headers=headers)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem["type"] == f"urn:taskward:problem:{kind}"
    assert problem.keys() == MEMBERS
    assert problem["instance"] == "/v1/tasks"
    assert problem["request_id"] == answer.headers["x-request-id"] == "abc.1"
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "secret" not in answer.text
    assert PLANTED not in answer.text


@pytest.mark.parametrize("error", [StorageOverloaded("no room", 7)])
async def test_an_overloaded_answer_says_when_to_retry(
    failing_client: httpx2.AsyncClient, as_alice: dict[str, str]
) -> None:
    answer = await failing_client.post("/v1/tasks", json={"title": "x"}, headers=as_alice)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_a_defect_is_logged_with_its_stack_trace(
    failing_client: httpx2.AsyncClient, as_alice: dict[str, str], logged: LoggedLines
) -> None:
    await failing_client.post("/v1/tasks", json={"title": "x"}, headers=as_alice | {"X-Request-Id": "abc.2"})
    (line,) = [line for line in logged() if line["event"] == "defect"]
    assert (line["level"], line["request_id"]) == ("error", "abc.2")
    assert "RuntimeError" in line["exception"]
    assert "Traceback" in line["exception"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(StorageUnavailable("x"), "database-unavailable"), (StorageOutdated("x"), "schema-outdated")],
)
async def test_a_failing_service_is_alive_but_not_ready(failing_client: httpx2.AsyncClient, kind: str) -> None:
    answer = await failing_client.get("/health/ready")
    assert (answer.status_code, answer.json()["type"]) == (503, f"urn:taskward:problem:{kind}")
    assert answer.headers["retry-after"] == "1"
    assert (await failing_client.get("/health/live")).json() == {"status": "ok"}


class NeverReady(Readiness):
    async def check(self) -> None:
        await asyncio.Event().wait()


async def test_readiness_is_answered_in_time(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READINESS_SECONDS", 0.01)
    container.readiness.override(providers.Object(NeverReady()))
    async with client_of(container) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:taskward:problem:database-unavailable")


@pytest.mark.parametrize("path", ["/v1", "/v1/tasks/", "/v1/tasks/a/b/c", "/%FF", "/v2/tasks"])
async def test_an_unknown_route_is_not_found(client: httpx2.AsyncClient, as_alice: dict[str, str], path: str) -> None:
    answer = await client.get(path, headers=as_alice)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:taskward:problem:not-found")
    assert answer.json().keys() == MEMBERS


@pytest.mark.parametrize("path", ["/v1/tasks/%3Fa", "/a%0Ab", "/%E2%82%AC", "/a%2520b", "/a%2Fb", "/%36"])
async def test_the_instance_is_the_path_as_sent(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(f"{path}?a=b", headers={"X-User-Id": "alice"})
    assert (answer.json()["instance"], answer.headers["cache-control"]) == (path, "no-store")


async def test_a_wrong_method_gets_the_allowed_ones(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    answer = await client.put("/v1/tasks", headers=as_alice)
    assert (answer.status_code, answer.json()["type"]) == (405, "urn:taskward:problem:method-not-allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("given", [None, "", "x" * 129, "with space", "new\tline", 'quo"te'])
async def test_a_request_without_a_valid_id_gets_one(client: httpx2.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given}
    ids = {(await client.get("/health/live", headers=headers)).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert given not in ids


async def test_two_request_ids_are_replaced(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/health/live", headers=[("X-Request-Id", "one"), ("X-Request-Id", "two")])
    assert answer.headers["x-request-id"] not in {"one", "two", "one, two"}


async def test_a_valid_request_id_is_kept(client: httpx2.AsyncClient) -> None:
    given = "Az09._-" + "x" * 121
    assert (await client.get("/health/live", headers={"X-Request-Id": given})).headers["x-request-id"] == given
