"""If ownership fails in the adapter, the answer only says that the service has a defect."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from dependency_injector import providers

from adapters.postgres.connections.connection import Connector, Rows
from adapters.postgres.connections.executor import DatabaseExecutor
from adapters.postgres.connections.guard import Statement
from domain.task import UserId
from entrypoints.container import Container
from entrypoints.settings import Settings
from tests.conftest import LoggedLines
from tests.executors import SERVING
from tests.http.conftest import client_of
from tests.operations import ON_ALL, ON_ONE

ALL_TASKS = Statement(
    "select user_id, id, title, description, completed, created_at, updated_at from tasks", is_read=True
)

REQUESTS = ON_ALL | {name: request._replace(path="/{}" + request.path) for name, request in ON_ONE.items()}


class CrossingExecutor(DatabaseExecutor):
    """Acts like a pooler that mixes up its clients: runs the first statement for every request."""

    first: tuple[Statement, Mapping[str, object]] | None = None

    async def run(self, statement: Statement, parameters: Mapping[str, object], **options: Any) -> Rows:
        self.first = self.first or (statement, parameters)
        return await super().run(*self.first, **options)


class ForgetfulExecutor(DatabaseExecutor):
    """Runs a statement without an owner instead of the given one."""

    async def run(self, statement: Statement, parameters: Mapping[str, object], **options: Any) -> Rows:
        return await super().run(ALL_TASKS, {}, **options)


@pytest.fixture
async def failing_client(database_url: str, executor: type[DatabaseExecutor]) -> AsyncIterator[httpx2.AsyncClient]:
    container = Container()
    container.settings.override(Settings.load(database_url=database_url))
    connector = Connector(database_url, [*SERVING, ALL_TASKS])
    database = executor(connector.open, connections=1, queue=1, deadline=5)
    container.database.override(providers.Object(database))
    async with client_of(container) as client:
        yield client


@pytest.mark.parametrize("executor", [CrossingExecutor, ForgetfulExecutor])
@pytest.mark.parametrize("name", REQUESTS)
async def test_another_users_row_is_a_defect_nobody_sees(
    postgres_client: httpx2.AsyncClient,
    failing_client: httpx2.AsyncClient,
    alice: UserId,
    bob: UserId,
    logged: LoggedLines,
    executor: type[DatabaseExecutor],
    name: str,
) -> None:
    hers, his = {"X-User-Id": alice.value, "X-Request-Id": "r"}, {"X-User-Id": bob.value}
    planted = {"title": "planted-title", "description": "planted-description"}
    foreign = (await postgres_client.post("/v1/tasks", json=planted, headers=his)).json()
    if executor is CrossingExecutor:
        assert (await failing_client.get(f"/v1/tasks/{foreign['id']}", headers=his)).json() == foreign
    method, path, body = REQUESTS[name]
    asked_for = str(uuid4())
    before = len(logged())
    answer = await failing_client.request(method, "/v1/tasks" + path.format(asked_for), json=body, headers=hers)
    assert answer.status_code == 500
    problem = answer.json() if method != "HEAD" else None
    assert problem is None or problem == {
        "type": "urn:taskward:problem:internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": "A defect in the service; it has been logged.",
        "instance": "/v1/tasks" + path.format(asked_for).partition("?")[0],
        "request_id": "r",
    }
    lines = logged()[before:]
    (operation,) = [line for line in lines if line["event"] == "database"]
    (defect,) = [line for line in lines if line["event"] == "defect"]
    assert (operation["outcome"], operation["user_id"]) == ("OwnershipViolation", alice.value)
    assert (defect["level"], defect["request_id"]) == ("error", "r")
    assert "OwnershipViolation" in defect["exception"]
    seen = f"{answer.headers} {answer.text} {lines}"
    assert not [secret for secret in ("planted", bob.value, foreign["id"], foreign["created_at"]) if secret in seen]
