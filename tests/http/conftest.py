"""Clients of the application in this process: on the fake, which overrides the container, or on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx2
import pytest
from dependency_injector import providers

from entrypoints.container import Container
from entrypoints.http.dependencies import Readiness
from entrypoints.settings import Settings
from tests.fakes import InMemoryTaskRepository


class AlwaysReady(Readiness):
    async def check(self) -> None:
        return


@asynccontextmanager
async def client_of(container: Container) -> AsyncIterator[httpx2.AsyncClient]:
    app = container.app()
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://taskward.test", trust_env=False, verify=False
        ) as client,
    ):
        yield client


def located(answer: httpx2.Response) -> str:
    """Return the path that `Location` points to."""
    return answer.url.join(answer.headers["location"]).path


def following(answer: httpx2.Response) -> str:
    """Return the URL of the next page, or an empty text."""
    link = answer.links.get("next")
    return str(answer.url.join(link["url"])) if link else ""


@pytest.fixture
def fake() -> InMemoryTaskRepository:
    return InMemoryTaskRepository()


@pytest.fixture
def container(fake: InMemoryTaskRepository) -> Container:
    container = Container()
    container.tasks.override(providers.Object(fake))
    container.readiness.override(providers.Object(AlwaysReady()))
    container.resources.override(providers.Factory(nullcontext))
    return container


@pytest.fixture
async def client(container: Container) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(container) as client:
        yield client


@pytest.fixture
async def postgres_client(database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    container = Container()
    container.settings.override(Settings.load(database_url=database_url))
    async with client_of(container) as client:
        yield client


@pytest.fixture
def as_alice() -> dict[str, str]:
    return {"X-User-Id": "alice"}


@pytest.fixture
def as_bob() -> dict[str, str]:
    return {"X-User-Id": "bob"}


@pytest.fixture
async def task(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> dict[str, Any]:
    """Create a task of alice's and return its body."""
    created: dict[str, Any] = (await client.post("/v1/tasks", json={"title": "x"}, headers=as_alice)).json()
    return created
