"""A page of another site may read, but not write, unless its origin is allowed."""

from typing import Any

import httpx2
import pytest

from entrypoints.container import Container
from entrypoints.settings import Settings
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of
from tests.operations import CHANGES, ON_ALL, Request

WRITES = {name: request._replace(path="/{task}" + request.path) for name, request in CHANGES.items()}
WRITES |= {name: request for name, request in ON_ALL.items() if request.method != "GET"}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_another_sites_page_cannot_write(
    client: httpx2.AsyncClient,
    fake: InMemoryTaskRepository,
    as_alice: dict[str, str],
    task: dict[str, Any],
    write: Request,
) -> None:
    before = dict(fake.stored)
    url = "/v1/tasks" + write.path.format(task=task["id"])
    headers = as_alice | {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}
    answer = await client.request(write.method, url, json=write.body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:taskward:problem:cross-site")
    assert answer.headers["cache-control"] == "no-store"
    assert fake.stored == before


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none", None])
async def test_a_page_of_the_same_site_may_write(
    client: httpx2.AsyncClient, as_alice: dict[str, str], site: str | None
) -> None:
    headers = as_alice | ({"Sec-Fetch-Site": site} if site else {})
    assert (await client.post("/v1/tasks", json={"title": "x"}, headers=headers)).status_code == 201


async def test_a_page_of_an_allowed_origin_may_write(container: Container, as_alice: dict[str, str]) -> None:
    container.settings.override(Settings.load(cors_origins="capacitor://localhost"))
    async with client_of(container) as client:
        headers = as_alice | {"Sec-Fetch-Site": "cross-site", "Origin": "capacitor://localhost"}
        assert (await client.post("/v1/tasks", json={"title": "x"}, headers=headers)).status_code == 201
        headers["Origin"] = "https://localhost"
        assert (await client.post("/v1/tasks", json={"title": "x"}, headers=headers)).status_code == 403


async def test_another_sites_page_may_read(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    assert (await client.get("/v1/tasks", headers=as_alice | {"Sec-Fetch-Site": "cross-site"})).status_code == 200
