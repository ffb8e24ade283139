"""`taskward dev` answers only for its own hosts."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from entrypoints.container import Container
from entrypoints.settings import DevelopmentSettings
from tests.http.conftest import client_of


@pytest.fixture
async def client(container: Container) -> AsyncIterator[httpx2.AsyncClient]:
    container.settings.override(DevelopmentSettings.load(host="box.example"))
    async with client_of(container) as client:
        yield client


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]", "[::1]:8000", "box.example:80"]
)
async def test_own_hosts_are_answered(client: httpx2.AsyncClient, host: str) -> None:
    assert (await client.get("/health/live", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["rebound.example", "localhost.example", "box.example.", "[::2]:80", "", "127.0.0.1:x"]
)
@pytest.mark.parametrize("path", ["/health/live", "/v1/tasks", "/docs", "/nothing"])
async def test_other_hosts_are_refused(client: httpx2.AsyncClient, host: str, path: str) -> None:
    answer = await client.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:taskward:problem:misdirected-request"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
